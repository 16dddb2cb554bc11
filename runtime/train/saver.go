package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// saver writes the checkpoints of a run: some in the background while training goes on, one at a time.
type saver struct {
	path  string // "" for none
	old   string // where to move another run's checkpoint before the first write; "" if there is none
	every time.Duration
	steps int // write after that many steps instead, and wait for it
	warn  func(string)

	began    time.Time     // of the last write, or of the run
	took     time.Duration // for the last write that the run waited for
	lastStep int
	pending  chan error // of the write in the background; nil when there is none
	own      bool       // path holds a state of an earlier train of the program, which goes on with this run
	good     bool       // path holds a state of this run
	goodStep int        // which one
	inFlight int        // step of the write in the background
	failure  string     // the last failure; each is told once
	pauses   int        // how often the run waited for a state to be copied
	paused   time.Duration
	longest  time.Duration
}

// due reports whether it is time for a checkpoint after that step.
func (s *saver) due(step int) bool {
	switch {
	case s.path == "":
		return false
	case s.steps > 0:
		return step-s.lastStep >= s.steps
	}
	return time.Since(s.began) >= s.every && !s.busy()
}

// busy reports whether a write is in flight, and takes note of one that has ended.
func (s *saver) busy() bool {
	if s.pending == nil {
		return false
	}
	select {
	case err := <-s.pending:
		s.ended(err)
		return false
	default:
		return true
	}
}

// background writes ck, which nobody changes any more, while the caller goes on.
func (s *saver) background(ck *checkpoint) {
	s.wait()
	if err := s.begin(ck); err != nil {
		_ = s.ended(err) // which tells it
		return
	}
	s.pending = make(chan error, 1)
	go func(result chan<- error) { result <- writeCheckpoint(s.path, ck) }(s.pending)
}

// begin makes room for ck.
//
// Errors: another run's checkpoint is there, and stays.
func (s *saver) begin(ck *checkpoint) error {
	s.began, s.lastStep, s.inFlight = time.Now(), ck.Step, ck.Step
	if s.old == "" {
		return nil
	}
	if err := os.Rename(s.path, s.old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("that of an earlier run cannot be renamed to %s: %w", s.old, withoutPath(err))
	}
	s.old = ""
	return nil
}

// write writes ck and returns when it is on the disk.
func (s *saver) write(ck *checkpoint) error {
	s.wait()
	err := s.begin(ck)
	if err == nil {
		err = writeCheckpoint(s.path, ck)
	}
	s.took = time.Since(s.began)
	return s.ended(err)
}

// dueAtEpoch reports whether the end of an epoch is worth a checkpoint: always where there is none yet, and where they are counted in steps;
// otherwise a second after the last one, or after twenty times as long as that took, so that a run spends a twentieth of its time on them at most.
func (s *saver) dueAtEpoch() bool {
	switch {
	case s.path == "":
		return false
	case !s.good || s.steps > 0:
		return true
	}
	return time.Since(s.began) >= max(time.Second, 20*s.took)
}

// pause takes note of how long the run stood still for a checkpoint on the way.
func (s *saver) pause(d time.Duration) {
	s.pauses++
	s.paused += d
	s.longest = max(s.longest, d)
}

// pausesText says how long the run stood still for checkpoints on the way; "" if there were none.
func (s *saver) pausesText() string {
	if s.pauses == 0 {
		return ""
	}
	times := "once"
	if s.pauses > 1 {
		times = fmt.Sprintf("%d times", s.pauses)
	}
	return fmt.Sprintf("the state was saved %s on the way; training stood still for %s at most, %s in all", times,
		s.longest.Round(10*time.Microsecond), s.paused.Round(10*time.Microsecond))
}

// wait returns when no write is in flight.
func (s *saver) wait() {
	if s.pending != nil {
		s.ended(<-s.pending)
	}
}

// ended takes note of the result of a write. A failure is told and not fatal: the run is worth more than its checkpoint.
func (s *saver) ended(err error) error {
	s.pending = nil
	if err == nil {
		s.good, s.goodStep, s.failure = true, s.inFlight, ""
		return nil
	}
	err = fmt.Errorf("cannot write the checkpoint %s: %w", s.path, err)
	if s.good {
		err = fmt.Errorf("%w; the one after step %d is still there", err, s.goodStep)
	}
	if text := err.Error(); text != s.failure {
		s.failure = text
		s.warn(text)
	}
	return err
}

// removeLeftovers removes files that processes killed in the middle of a write left beside the checkpoint. An hour is longer than
// any write, so that another run's is not taken from it.
func (s *saver) removeLeftovers() {
	if s.path == "" {
		return
	}
	entries, err := os.ReadDir(filepath.Dir(s.path))
	if err != nil {
		return // the first write will tell
	}
	prefix := "." + filepath.Base(s.path)
	for _, e := range entries {
		number, ours := strings.CutPrefix(e.Name(), prefix)
		if _, err := strconv.ParseUint(number, 10, 64); !ours || err != nil {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > time.Hour {
			os.Remove(filepath.Join(filepath.Dir(s.path), e.Name()))
		}
	}
}

// discard removes the file, if it is the run's.
func (s *saver) discard() error {
	s.wait()
	if !s.good && !s.own {
		return nil
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the run is over but its checkpoint %s stays: %w", s.path, withoutPath(err))
	}
	return nil
}
