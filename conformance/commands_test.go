package conformance

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A value that is not finite ends a run with exit code 1 and the step, the operation and the line of the program that made it.
func TestNonFinite(t *testing.T) {
	const loss, optimizer = "binary_crossentropy(Small(image), label)", "adam(lr: 0.001)"
	for _, c := range []struct{ name, loss, optimizer, want string }{
		{
			"learning rate", "(sum(Small(image)) / 0.01 - 1)^2", "sgd(lr: 1e30)",
			`training stopped at step 2 \(epoch 1/30, step 2/5\): \S+ is not a finite number; the first operation to give one is \w+( \([^)]*\))? at small\.nn:10:\d+ in dense`,
		},
		{
			"logarithm", "log(sum(Small(image)) - 5)", optimizer,
			`training stopped at step 1 \(epoch 1/30, step 1/5\): loss is not a finite number; the first operation to give one is log \(log of -\d+\.\d+\) at small\.nn:14:16 in train\n`,
		},
		{
			"quotient", "sum(Small(image) / (image[0, 0, 0] * 0))", optimizer,
			`training stopped at step 1 \(epoch 1/30, step 1/5\): loss is not a finite number; the first operation to give one is \w+( \([^)]*\))? at small\.nn:14:20 in train\n`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := smallFolder(t, strings.NewReplacer(loss, c.loss, optimizer, c.optimizer, ", sigmoid", "").Replace(smallProgram))
			o := finish(t, command(t, folder, "run", "small.nn"))
			if o.code != 1 || !regexp.MustCompile(c.want).MatchString(o.err) {
				t.Errorf("exit code %d:\n%s\nwant %s", o.code, o.err, c.want)
			}
			if _, err := os.Stat(filepath.Join(folder, "small.h5")); !os.IsNotExist(err) {
				t.Errorf("the weights file: %v", err)
			}
		})
	}
}

// exampleCopy copies an example's program to a temporary folder, whose data is that of the example.
func exampleCopy(t *testing.T, name string) string {
	t.Helper()
	from, err := filepath.Abs(filepath.Join("..", "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, name+".nn"), read(t, from, name+".nn"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(from, "data"), filepath.Join(folder, "data")); err != nil {
		t.Fatal(err)
	}
	return folder
}

// The cat and dog example in a short form: it trains, says how good it is, and predicts with what it saved. Each of its two runs gives the
// same weights, on one thread and on two.
func TestCatDogCommand(t *testing.T) {
	var saved [][]byte
	for _, threads := range []int{1, 2} {
		folder := exampleCopy(t, "catdog")
		cmd := command(t, folder, "run", "catdog.nn", "--set", "steps=3", "--set", "hidden=32", "--epochs", "1")
		cmd.Env = append(cmd.Env, fmt.Sprintf("GOMAXPROCS=%d", threads))
		o := finish(t, cmd)
		if o.code != 0 {
			t.Fatalf("exit code %d: %s", o.code, o.err)
		}
		for _, want := range []string{`(?m)^Epoch 1/1 - \d+s - accuracy: 0\.\d{4} - loss: 0\.\d{4} - val_accuracy: 0\.\d{4} - val_loss: 0\.\d{4}$`, `(?m)^Test accuracy: 0\.\d{4}$`} {
			if !regexp.MustCompile(want).MatchString(o.out) {
				t.Errorf("%s is not in\n%s", want, o.out)
			}
		}
		saved = append(saved, read(t, folder, "model.h5"))
		if threads == 1 {
			continue
		}
		accuracy := regexp.MustCompile(`Test accuracy: .*`)
		measured := run(t, folder, "eval", "catdog.nn", "--set", "hidden=32", "--weights", "model.h5")
		if got, want := accuracy.FindString(measured.out), accuracy.FindString(o.out); got != want {
			t.Errorf("eval says %q, run said %q", got, want)
		}
		predicted := run(t, folder, "predict", "catdog.nn", "--set", "hidden=32", filepath.Join("data", "test", "cats", "0000.jpg"))
		if !regexp.MustCompile(`^\S+0000\.jpg +(cats|dogs) +0\.[5-9]\d{3}\n$`).MatchString(predicted.out) {
			t.Errorf("predict says %q", predicted.out)
		}
	}
	if !bytes.Equal(saved[0], saved[1]) {
		t.Error("two threads give other weights than one")
	}
}

// The digits example learns most digits in its first epoch.
func TestDigitsCommand(t *testing.T) {
	folder := exampleCopy(t, "digits")
	o := run(t, folder, "run", "digits.nn", "--epochs", "1", "--backend", backends[len(backends)-1].Name())
	var accuracy float64
	line := regexp.MustCompile(`Test accuracy: .*`).FindString(o.out)
	if _, err := fmt.Sscanf(line, "Test accuracy: %f", &accuracy); err != nil || accuracy < 0.85 {
		t.Errorf("%q after one epoch\n%s", line, o.out)
	}
}
