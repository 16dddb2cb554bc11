package train

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	killFile   = "NNC_TEST_KILL_FILE" // the program whose run is to be killed; set in the child process only
	killEpochs = 40
)

// killRun is the same run in every process, but for the folder.
func killRun(t *testing.T) *lineRun {
	r := newRun(t)
	r.t.Epochs, r.t.Steps = killEpochs, 4
	return r
}

// TestKilled is what the child process of TestResumeAfterKill9 does.
func TestKilled(t *testing.T) {
	file := os.Getenv(killFile)
	if file == "" {
		t.Skip("runs in a child process only")
	}
	r := killRun(t)
	r.p.File = file
	r.opt.Out, r.opt.CheckpointEvery = os.Stdout, time.Nanosecond
	r.prog.before = func(step int) error {
		if step == killEpochs*4-2 {
			io.Copy(io.Discard, os.Stdin) // waits to be killed, or for the parent's end
		}
		return nil
	}
	if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); err != nil {
		t.Fatal(err)
	}
	t.Fatal("nobody killed the process")
}

// A process that is killed with signal 9, wherever it is, leaves a checkpoint from which the run ends with the same bits.
func TestResumeAfterKill9(t *testing.T) {
	whole := killRun(t)
	want, err := Run(t.Context(), whole.prog, whole.p, whole.t, whole.opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, epoch := range []int{1, 4, 9, 17, 26} {
		r := killRun(t)
		child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		child.Env = append(os.Environ(), killFile+"="+r.p.File)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		in, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() && !strings.HasPrefix(lines.Text(), "Epoch "+strconv.Itoa(epoch)+"/") {
		}
		child.Process.Kill()
		if err := child.Wait(); err == nil {
			t.Fatal("the run ended before it was killed")
		}
		ck, err := readCheckpoint(CheckpointPath(r.p))
		if err != nil {
			t.Fatalf("killed after epoch %d: %v", epoch, err)
		}
		// The line of the first epoch stands for a checkpoint; later ones may be up to a second behind, or twenty times as long as one takes.
		if ck.Step == 0 || ck.Step > killEpochs*4 {
			t.Errorf("killed after epoch %d: the checkpoint is of step %d", epoch, ck.Step)
		}
		r.opt.Resume = true
		got, err := Run(t.Context(), r.prog, r.p, r.t, r.opt)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.History, got.History); diff != "" {
			t.Errorf("killed after epoch %d: %s", epoch, diff)
		}
		if diff := cmp.Diff(cellBits(whole.prog), cellBits(r.prog)); diff != "" {
			t.Errorf("killed after epoch %d: %s", epoch, diff)
		}
	}
}
