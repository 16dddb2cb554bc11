package conformance

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/runtime/train"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// smallProgram tells dark squares from light ones. Its Dropout and its shuffling need the random numbers to go on where they were.
const smallProgram = `option epochs = 30

data Squares {
    source: image_folder(train: "data/train", validation: "data/validation", size: 6)
    map:    { image: image / 255 }
    batch:  4
}

model Small(image: f32[6, 6, 3]) -> f32[1] {
    image |> Conv2D(4, 3, relu) |> Flatten() |> Dropout(0.25) |> Dense(8, relu) |> Dense(1, sigmoid)
}

train on Squares {
    loss:      binary_crossentropy(Small(image), label)
    optimizer: adam(lr: 0.001)
    metrics:   accuracy(Small(image), label)
    epochs:    epochs
    save:      "small.h5"
}
`

// childVariable tells the test binary that it is a training process that a test kills; its value is the folder, the backend's name and how
// checkpoints are written, with commas between.
const childVariable = "NNC_TEST_TRAIN"

// killsVariable is how many kills TestKilled makes at least in each of its settings; a few keep the tests fast.
const killsVariable = "NNC_TEST_KILLS"

func TestMain(m *testing.M) {
	if job := os.Getenv(childVariable); job != "" {
		if err := trainSmall(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if err := printCounts(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if built.folder != "" {
		os.RemoveAll(built.folder)
	}
	os.Exit(code)
}

// built is the nnc that the tests start; it is built once.
var built struct {
	sync.Once
	folder, path string
	err          error
}

func nnc(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		if built.folder, built.err = os.MkdirTemp("", "nnc-conformance-"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.folder, "nnc")
		if out, err := exec.Command("go", "build", "-o", built.path, "../cmd/nnc").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// smallFolder writes a program and a few pictures that it is trained on.
func smallFolder(t *testing.T, program string) string {
	t.Helper()
	folder := t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	for _, split := range []string{"train", "validation"} {
		for k, class := range []string{"dark", "light"} {
			to := filepath.Join(folder, "data", split, class)
			if err := os.MkdirAll(to, 0o755); err != nil {
				t.Fatal(err)
			}
			for i := range 9 {
				im := image.NewRGBA(image.Rect(0, 0, 6, 6))
				for p := range 36 {
					level := func() uint8 { return uint8(r.IntN(128) + 100*k) }
					im.Set(p%6, p/6, color.RGBA{level(), level(), level(), 255})
				}
				var b bytes.Buffer
				if err := png.Encode(&b, im); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(to, fmt.Sprintf("%d.png", i)), b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "small.nn"), []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	return folder
}

// command is nnc with arguments, in a folder.
func command(t *testing.T, folder string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(nnc(t), args...)
	cmd.Dir = folder
	examples, err := filepath.Abs(filepath.Join("..", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), childVariable+"=", "NNC_ALLOW="+examples) // whose data copies of examples link to
	return cmd
}

// outcome is how a process ended.
type outcome struct {
	code     int
	out, err string
}

func finish(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// run runs nnc to its end, which must be a good one.
func run(t *testing.T, folder string, args ...string) outcome {
	t.Helper()
	o := finish(t, command(t, folder, args...))
	if o.code != 0 {
		t.Fatalf("nnc %s: exit code %d\n%s%s", strings.Join(args, " "), o.code, o.out, o.err)
	}
	return o
}

// stopAfter starts a process, waits until it has printed some epochs and a little longer, and sends it a signal.
func stopAfter(t *testing.T, cmd *exec.Cmd, epochs int, delay time.Duration, signal os.Signal) outcome {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	lines := bufio.NewScanner(out)
	for epochs > 0 && lines.Scan() {
		text.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "Epoch ") {
			epochs--
		}
	}
	time.Sleep(delay)
	if err := cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // its error is the exit code
	return outcome{cmd.ProcessState.ExitCode(), text.String() + string(rest), errs.String()}
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A run that is killed without warning and resumed ends with the same bits as one that was left alone.
func TestKilledCommand(t *testing.T) {
	whole := smallFolder(t, smallProgram)
	run(t, whole, "run", "small.nn", "--set", "epochs=400")
	want := read(t, whole, "small.h5")

	folder := smallFolder(t, smallProgram)
	r := rand.New(rand.NewPCG(3, 4))
	stopAfter(t, command(t, folder, "run", "small.nn", "--set", "epochs=400"), 1+r.IntN(10), time.Duration(r.IntN(5))*time.Millisecond, syscall.SIGKILL)
	if _, err := os.Stat(filepath.Join(folder, "small.ckpt")); err != nil {
		t.Fatalf("nothing to resume after the first epoch: %v", err)
	}
	stopAfter(t, command(t, folder, "run", "small.nn", "--set", "epochs=400", "--resume"), r.IntN(10), 0, syscall.SIGKILL)
	run(t, folder, "run", "small.nn", "--set", "epochs=400", "--resume")
	if !bytes.Equal(read(t, folder, "small.h5"), want) {
		t.Error("the weights differ")
	}
	if _, err := os.Stat(filepath.Join(folder, "small.ckpt")); !os.IsNotExist(err) {
		t.Errorf("the checkpoint of the finished run: %v", err)
	}
}

// Ctrl-C saves the state in the middle of an epoch and says how to go on.
func TestInterrupted(t *testing.T) {
	whole := smallFolder(t, smallProgram)
	run(t, whole, "run", "small.nn", "--set", "epochs=400")
	folder := smallFolder(t, smallProgram)
	o := stopAfter(t, command(t, folder, "run", "small.nn", "--set", "epochs=400"), 3, time.Millisecond, os.Interrupt)
	if o.code == 0 {
		t.Fatalf("the run was over before it could be interrupted:\n%s", o.out)
	}
	resume := "nnc run small.nn --set epochs=400 --resume"
	if o.code != 1 || !strings.Contains(o.err, "the state is in small.ckpt") || !strings.Contains(o.err, resume) {
		t.Fatalf("exit code %d, %q does not tell of %q", o.code, o.err, resume)
	}
	args := strings.Fields(resume)[1:]
	if o := run(t, folder, args...); !strings.Contains(o.out, "resuming after step") {
		t.Errorf("printed %s", o.out)
	}
	if !bytes.Equal(read(t, folder, "small.h5"), read(t, whole, "small.h5")) {
		t.Error("the weights differ")
	}
}

// A run goes on in an executable that was made of its program, though that can measure more, and in nnc again.
func TestResumedByExecutable(t *testing.T) {
	// More epochs than a pipe has room for: a run waits to be stopped.
	folder := smallFolder(t, smallProgram)
	run(t, folder, "build", "small.nn", "--set", "epochs=2000", "-o", "small")
	small := func(args ...string) *exec.Cmd {
		cmd := exec.Command("./small", args...)
		cmd.Dir = folder
		return cmd
	}
	if o := finish(t, small("train")); o.code != 0 {
		t.Fatalf("exit code %d: %s", o.code, o.err)
	}
	want := read(t, folder, "small.h5")
	if err := os.Remove(filepath.Join(folder, "small.h5")); err != nil {
		t.Fatal(err)
	}
	stopAfter(t, command(t, folder, "run", "small.nn", "--set", "epochs=2000"), 2, time.Millisecond, syscall.SIGKILL)
	if o := stopAfter(t, small("train", "--resume"), 2, time.Millisecond, os.Interrupt); !strings.Contains(o.out, "resuming after step") || !strings.Contains(o.err, "`./small train --resume` goes on from there") {
		t.Fatalf("printed %s%s", o.out, o.err)
	}
	run(t, folder, "run", "small.nn", "--set", "epochs=2000", "--resume")
	if !bytes.Equal(read(t, folder, "small.h5"), want) {
		t.Error("the weights differ")
	}
}

// A seed makes a run repeat bit for bit, on one thread or two; another seed gives other weights.
func TestSeeds(t *testing.T) {
	folder := smallFolder(t, smallProgram)
	weightsOf := func(threads int, seed string) []byte {
		cmd := command(t, folder, "run", "small.nn", "--set", "epochs=3", "--seed", seed)
		cmd.Env = append(cmd.Env, fmt.Sprintf("GOMAXPROCS=%d", threads))
		if o := finish(t, cmd); o.code != 0 {
			t.Fatalf("exit code %d: %s", o.code, o.err)
		}
		return read(t, folder, "small.h5")
	}
	first := weightsOf(1, "7")
	if !bytes.Equal(weightsOf(1, "7"), first) {
		t.Error("the same seed gives other weights")
	}
	if !bytes.Equal(weightsOf(2, "7"), first) {
		t.Error("two threads give other weights than one")
	}
	if bytes.Equal(weightsOf(1, "8"), first) {
		t.Error("another seed gives the same weights")
	}
}

// killedEpochs is how long the runs of TestKilled are, and killedSteps how many steps an epoch of theirs has: 18 pictures in batches of 4.
const (
	killedEpochs = 12
	killedSteps  = 5
)

// inBackground says that checkpoints are written while training goes on, one after the other; otherwise each step waits for its own.
const inBackground = "background"

// trainSmall trains the small program and goes on from the checkpoint that is there.
func trainSmall(job string) error {
	parts := strings.Split(job, ",")
	folder, how := parts[0], parts[2]
	k := slices.IndexFunc(backends, func(b codegen.Backend) bool { return b.Name() == parts[1] })
	file := filepath.Join(folder, "small.nn")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	c, err := build(diag.NewFile(file, string(text)), lang.Options{Set: map[string]string{"epochs": strconv.Itoa(killedEpochs)}, Schema: fields(
		plan.Field{Name: "image", DType: tensor.F32, Shape: []int{6, 6, 3}},
		plan.Field{Name: "label", DType: tensor.I32, Labels: []string{"dark", "light"}},
	)}, setting{backend: backends[k], precision: tensor.F32})
	if err != nil {
		return err
	}
	if err := train.Init(c.Program, c.plan, 1); err != nil {
		return err
	}
	options := train.Options{
		Seed: 1, CheckpointSteps: 1, Out: os.Stdout,
		Save: func(path string) error {
			_, err := weights.SaveProgram(path, c, c.plan)
			return err
		},
	}
	if how == inBackground {
		options.CheckpointSteps, options.CheckpointEvery = 0, time.Nanosecond
	}
	_, err = os.Stat(train.CheckpointPath(c.plan))
	options.Resume = err == nil
	_, err = train.Run(context.Background(), c, c.plan, c.plan.Trains[0], options)
	return err
}

// A process that writes its state after every step, or all the time in the background, may be killed at any moment, also while it writes: in
// the end its weights have the bits of a run that was left alone, and no step that had been kept is computed again.
func TestKilled(t *testing.T) {
	wanted := 2
	r := rand.New(rand.NewPCG(5, 6))
	if n, err := strconv.Atoi(os.Getenv(killsVariable)); err == nil {
		wanted, r = n, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	for _, b := range backends {
		for _, how := range []string{"every_step", inBackground} {
			t.Run(b.Name()+"/"+how, func(t *testing.T) { killed(t, b.Name()+","+how, wanted, r) })
		}
	}
}

// resumed is the step that a run goes on from.
var resumed = regexp.MustCompile(`resuming after step (\d+) `)

// killed makes at least so many kills in runs of one kind, and carries each run to its end.
func killed(t *testing.T, how string, wanted int, r *rand.Rand) {
	start := func(folder string) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"="+folder+","+how)
		return cmd
	}
	whole := smallFolder(t, smallProgram)
	if o := finish(t, start(whole)); o.code != 0 { // which also leaves machine code in the cache
		t.Fatalf("exit code %d: %s", o.code, o.err)
	}
	began := time.Now()
	if o := finish(t, start(smallFolder(t, smallProgram))); o.code != 0 {
		t.Fatalf("exit code %d: %s", o.code, o.err)
	}
	lasted := time.Since(began)
	want := read(t, whole, "small.h5")

	kills, inWrite, without, runs := 0, 0, 0, 0
	for kills < wanted {
		folder := smallFolder(t, smallProgram)
		runs++
		epochs := 0 // that are over, of this run
		for here := 0; ; here++ {
			// A process that is always killed early would never end.
			limit := lasted + time.Duration(here)*lasted/4
			o := stopAfter(t, start(folder), 0, time.Duration(r.Int64N(int64(limit))), syscall.SIGKILL)
			if m := resumed.FindStringSubmatch(o.out); m != nil && !strings.HasSuffix(how, inBackground) {
				if step, _ := strconv.Atoi(m[1]); step < epochs*killedSteps {
					t.Errorf("run %d, after %d kills: %d epochs of %d steps were over, and it goes on after step %d", runs, here, epochs, killedSteps, step)
				}
			}
			epochs += strings.Count(o.out, "\nEpoch ")
			if o.code == 0 {
				break
			}
			if o.code > 0 {
				t.Fatalf("run %d, after %d kills: exit code %d: %s", runs, here, o.code, o.err)
			}
			kills++
			left, err := filepath.Glob(filepath.Join(folder, ".small.*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range left {
				if err := os.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
			inWrite += len(left)
			if _, err := os.Stat(filepath.Join(folder, "small.ckpt")); err != nil {
				without++
			}
		}
		if !bytes.Equal(read(t, folder, "small.h5"), want) {
			t.Errorf("run %d: the weights differ", runs)
		}
	}
	t.Logf("%d runs killed %d times: %d times while a file was written, %d times before the first checkpoint", runs, kills, inWrite, without)
}
