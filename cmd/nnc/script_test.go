package main

import (
	"cmp"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/main/model"
)

var update = flag.Bool("update", false, "write the goldens of the scripts anew")

// The scripts' nnc says with which code it exits, unless it is 0, so that goldens hold it.
func TestMain(m *testing.M) {
	if attached := model.Self(os.Args); attached != nil { // a copy of this test that `nnc build` made
		os.Exit(attached(command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	testscript.Main(m, map[string]func(){
		"nnc": func() {
			code := run(os.Args[1:], command.Streams{In: os.Stdin, Out: timeless{os.Stdout}, Err: os.Stderr})
			if code != 0 {
				fmt.Fprintf(os.Stderr, "[exit %d]\n", code)
			}
			os.Exit(code)
		},
	})
}

// timeless masks how long epochs took.
type timeless struct{ w io.Writer }

var seconds = regexp.MustCompile(`(Epoch \S+) - \d+s - `)

// Write masks whole lines; those of an epoch are written at once.
func (t timeless) Write(p []byte) (int, error) {
	if _, err := t.w.Write(seconds.ReplaceAll(p, []byte("$1 - 0s - "))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			shared, err := os.ReadFile("testdata/shade.nn")
			if err != nil {
				return err
			}
			// Goldens have digits, which are the same on all machines in the interpreter only.
			env.Setenv("NNC_BACKEND", "interp")
			env.Setenv("NNC_CACHE", cmp.Or(os.Getenv("NNC_CACHE"), native.CacheDir())) // each script has a home of its own
			for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB"} {
				value, err := exec.Command("go", "env", name).Output()
				if err != nil {
					return err
				}
				env.Setenv(name, strings.TrimSpace(string(value)))
			}
			env.Setenv("ONLY_NNC", filepath.SplitList(env.Getenv("PATH"))[0])
			return os.WriteFile(filepath.Join(env.WorkDir, "shade.nn"), shared, 0o666)
		},
		Condition: func(c string) (bool, error) {
			if c != "native" {
				return false, fmt.Errorf("there is no condition %s", c)
			}
			_, err := native.FindToolchain()
			return err == nil || os.Getenv("CI") != "", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"photos": photos, "await": await, "truncate": truncate, "bytes": writeBytes, "jail": jail, "flip": flip, "cut": cut, "wave": wave,
		},
	})
}

// photos FOLDER N writes N pictures of 4×4 pixels into each of the class folders dark and light.
func photos(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	for class, name := range []string{"dark", "light"} {
		folder := ts.MkAbs(filepath.Join(args[0], name))
		ts.Check(os.MkdirAll(folder, 0o777))
		for i := range n {
			img := image.NewRGBA(image.Rect(0, 0, 4, 4))
			for p := range 16 {
				shade := uint8(100*class + (37*i+11*p)%120)
				img.Set(p%4, p/4, color.RGBA{shade, shade, shade / 2, 255})
			}
			f, err := os.Create(filepath.Join(folder, fmt.Sprintf("%d.png", i)))
			ts.Check(err)
			ts.Check(png.Encode(f, img))
			ts.Check(f.Close())
		}
	}
}

// wave FILE RATE SAMPLE… writes a recording.
func wave(ts *testscript.TestScript, _ bool, args []string) {
	rate, err := strconv.Atoi(args[1])
	ts.Check(err)
	var samples []float32
	for _, text := range args[2:] {
		x, err := strconv.ParseFloat(text, 32)
		ts.Check(err)
		samples = append(samples, float32(x))
	}
	file, _ := data.EncodeWAV(samples, rate)
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[0])), 0o777))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), file, 0o666))
}

// await FILE waits until a file is there.
func await(ts *testscript.TestScript, _ bool, args []string) {
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// truncate FILE N shortens a file to N bytes.
func truncate(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}

// bytes FILE N writes N bytes that are no text.
func writeBytes(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	junk := make([]byte, n)
	for i := range junk {
		junk[i] = byte(128 + i*i%127)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), junk, 0o666))
}
