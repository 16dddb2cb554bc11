package gopkg

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/data"
)

// pictureNames are what names that the runtime exports are called in a package, which does not.
var pictureNames = map[string]string{
	"Orientation": "orientationKind", "UprightEXIF": "uprightEXIF", "KeepPixels": "keepPixels",
	"Resize": "resizeKind", "Nearest": "nearestPixels", "Bilinear": "bilinearPixels",
}

var pictureName = regexp.MustCompile(`\b(Orientation|UprightEXIF|KeepPixels|Resize|Nearest|Bilinear)\b`)

// pictureFiles writes what turns an image file into the input of a model that takes one picture; nil if it takes something else.
func (v *view) pictureFiles(m *plan.Model, f *ir.Func) (map[string][]byte, error) {
	if m.Data == nil || m.Data.Source.ImageFolder == nil || len(m.Fields) != 1 || len(m.Fields[0].Shape) != 3 || m.Fields[0].DType != tensor.F32 || len(f.Params) != 1 {
		return nil, nil
	}
	files := map[string][]byte{}
	entries, err := data.PictureSource.ReadDir(".")
	if err != nil {
		panic("BUG: gopkg: " + err.Error())
	}
	for _, e := range entries {
		text, err := data.PictureSource.ReadFile(e.Name())
		if err != nil {
			panic("BUG: gopkg: " + err.Error())
		}
		own := pictureName.ReplaceAllStringFunc(string(text), func(s string) string { return pictureNames[s] })
		files["picture_"+e.Name()] = []byte(head + strings.Replace(own, "package data", "package "+v.Package, 1))
	}
	folder := m.Data.Source.ImageFolder
	resize, orientation := "nearestPixels", "keepPixels"
	if data.Resize(folder.Resize) == data.Bilinear {
		resize = "bilinearPixels"
	}
	if data.Orientation(folder.Orientation) == data.UprightEXIF {
		orientation = "uprightEXIF"
	}
	s := m.Fields[0].Shape
	sizes := fmt.Sprintf("\n// The size of the pictures, and how they are brought to it.\nconst (\n\timageHeight = %d\n\timageWidth = %d\n\timageChannels = %d\n\timageResize = %s\n\timageOrientation = %s\n)\n", s[0], s[1], s[2], resize, orientation)
	text, err := formatGo(string(v.fixed("picture.go")) + sizes)
	if err != nil {
		return nil, err
	}
	files["picture.go"] = text
	return files, nil
}
