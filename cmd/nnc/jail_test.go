package main

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nnc-lang/nnc/runtime/payload"
)

// jail OUTPUT FOLDER COMMAND ARGS runs a command that sees nothing but the folder, which is its root, and has no environment; who may not
// change the root gets the folder and no environment. What it prints, and its exit code unless that is 0, goes to the file OUTPUT.
func jail(ts *testscript.TestScript, _ bool, args []string) {
	cmd := exec.Command(args[2], args[3:]...)
	cmd.Dir, cmd.Env = ts.MkAbs(args[1]), []string{}
	if os.Geteuid() == 0 {
		cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Chroot: ts.MkAbs(args[1])}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		out = append(out, "["+err.Error()+"]\n"...)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out, 0o666))
}

// section returns an executable, and where a section of its payload lies in it.
func section(ts *testscript.TestScript, file, name string) (content []byte, at int) {
	f, err := payload.Open(file)
	ts.Check(err)
	defer f.Close()
	want, err := f.Read(name)
	ts.Check(err)
	content, err = os.ReadFile(file)
	ts.Check(err)
	return content, bytes.LastIndex(content, want)
}

// flip FILE SECTION changes a bit in the middle of a section of an executable's payload.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	content, at := section(ts, file, args[1])
	content[at+1] ^= 1
	ts.Check(os.WriteFile(file, content, 0o777))
}

// cut FILE SECTION ends an executable before a section of its payload.
func cut(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	_, at := section(ts, file, args[1])
	ts.Check(os.Truncate(file, int64(at)))
}
