package conformance

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
)

// initialiserLaws are the laws of Keras's initialisers: the standard deviation and the limits of what they draw, for a matrix and for the
// kernel of a convolution. Their random streams cannot be matched.
var initialiserLaws = []struct {
	call                string
	shape               []int
	deviation, low, top float64
}{
	{"constant(0.3)", []int{400, 250}, 0, 0.3, 0.3},
	{"identity(2)", []int{300, 300}, 0.11528, 0, 2},
	{"random_normal(0, 0.05)", []int{400, 250}, 0.05, -0.3, 0.3},
	{"truncated_normal(0, 0.05)", []int{400, 250}, 0.05 * truncation, -0.1, 0.1},
	{"random_uniform", []int{400, 250}, 0.1 / math.Sqrt(12), -0.05, 0.05},
	{"glorot_uniform", []int{400, 250}, math.Sqrt(2.0 / 650), -math.Sqrt(6.0 / 650), math.Sqrt(6.0 / 650)},
	{"glorot_uniform", []int{5, 5, 40, 60}, math.Sqrt(2.0 / 2500), -math.Sqrt(6.0 / 2500), math.Sqrt(6.0 / 2500)},
	{"glorot_normal", []int{400, 250}, math.Sqrt(2.0 / 650), -2 * math.Sqrt(2.0/650) / truncation, 2 * math.Sqrt(2.0/650) / truncation},
	{"glorot_normal", []int{5, 5, 40, 60}, math.Sqrt(2.0 / 2500), -2 * math.Sqrt(2.0/2500) / truncation, 2 * math.Sqrt(2.0/2500) / truncation},
	{"he_uniform", []int{400, 250}, math.Sqrt(2.0 / 400), -math.Sqrt(6.0 / 400), math.Sqrt(6.0 / 400)},
	{"he_uniform", []int{5, 5, 40, 60}, math.Sqrt(2.0 / 1000), -0.0774597, 0.0774597},
	{"he_normal", []int{400, 250}, math.Sqrt(2.0 / 400), -2 * math.Sqrt(2.0/400) / truncation, 2 * math.Sqrt(2.0/400) / truncation},
	{"he_normal", []int{5, 5, 40, 60}, math.Sqrt(2.0 / 1000), -2 * math.Sqrt(2.0/1000) / truncation, 2 * math.Sqrt(2.0/1000) / truncation},
	{"lecun_uniform", []int{400, 250}, 0.05, -math.Sqrt(3.0 / 400), math.Sqrt(3.0 / 400)},
	{"lecun_uniform", []int{5, 5, 40, 60}, math.Sqrt(1.0 / 1000), -0.0547723, 0.0547723},
	{"lecun_normal", []int{400, 250}, 0.05, -0.1 / truncation, 0.1 / truncation},
	{"lecun_normal", []int{5, 5, 40, 60}, math.Sqrt(1.0 / 1000), -2 * math.Sqrt(1.0/1000) / truncation, 2 * math.Sqrt(1.0/1000) / truncation},
}

// truncation is the standard deviation of a standard normal number that is drawn anew until it is less than 2 from 0.
const truncation = 0.87962566103423978

// Initialisers draw numbers of Keras's laws: mean, deviation and limits.
func TestInitialisers(t *testing.T) {
	var text strings.Builder
	fmt.Fprintf(&text, "model Net(x: f32[1]) -> f32[1] {\n")
	for i, law := range initialiserLaws {
		fmt.Fprintf(&text, "    param p%d: %s = %s\n", i, typeText(tensor.F32, law.shape), law.call)
	}
	fmt.Fprintf(&text, "    x\n}\n")
	c := compile(t, diag.NewFile("initialisers.nn", text.String()), lang.Options{}, setting{backend: backends[0], precision: tensor.F32})
	for i, law := range initialiserLaws {
		v := c.cell(t, fmt.Sprintf("p%d", i))
		sum, squares, least, greatest := 0.0, 0.0, math.Inf(1), math.Inf(-1)
		for k := range v.Len() {
			x := v.At(k)
			sum += x
			squares += x * x
			least, greatest = min(least, x), max(greatest, x)
		}
		n := float64(v.Len())
		mean := sum / n
		deviation := math.Sqrt(max(squares/n-mean*mean, 0))
		middle := (law.low + law.top) / 2
		random := !strings.HasPrefix(law.call, "constant") && !strings.HasPrefix(law.call, "identity")
		// Five standard errors of the mean; the deviation of 60,000 numbers is known to better than 1.5 %.
		if random && math.Abs(mean-middle) > 5*law.deviation/math.Sqrt(n) {
			t.Errorf("%s of %v: the mean is %.3g, want %.3g", law.call, law.shape, mean, middle)
		}
		if math.Abs(deviation-law.deviation) > 0.015*law.deviation+1e-6 {
			t.Errorf("%s of %v: the deviation is %.6g, want %.6g", law.call, law.shape, deviation, law.deviation)
		}
		slack := 1e-6 * (law.top - law.low + 1)
		if least < law.low-slack || greatest > law.top+slack {
			t.Errorf("%s of %v: from %.6g to %.6g, want at most from %.6g to %.6g", law.call, law.shape, least, greatest, law.low, law.top)
		}
		if random && (least > law.low*0.9+law.top*0.1 || greatest < law.top*0.9+law.low*0.1) && !strings.HasPrefix(law.call, "random_normal") {
			t.Errorf("%s of %v: only from %.6g to %.6g, want nearly from %.6g to %.6g", law.call, law.shape, least, greatest, law.low, law.top)
		}
	}
}
