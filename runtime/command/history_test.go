package command

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var someHistory = []map[string]float64{
	{"loss": 0.7, "accuracy": 0.5, "val_loss": 0.71, "val_accuracy": 0.25, "auc": 0.5},
	{"loss": 1e-9, "accuracy": 1, "val_loss": math.NaN(), "val_accuracy": math.Inf(1)},
}

func TestHistoryCSV(t *testing.T) {
	want := `epoch,loss,accuracy,auc,val_loss,val_accuracy
1,0.7,0.5,0.5,0.71,0.25
2,1e-09,1,,nan,+inf
`
	if diff := cmp.Diff(want, string(historyCSV(someHistory))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
