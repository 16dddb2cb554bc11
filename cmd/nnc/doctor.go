package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/runtime/code"
	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/term"
)

// doctorCmd says whether programs can run as machine code here, and what is missing if not.
type doctorCmd struct{}

// Help shows how the command is used.
func (doctorCmd) Help() string {
	return `Programs are compiled to machine code by LLVM's code generator, if one of the versions 14 to 19 is found: llc-19 … llc-14, llc, clang, or the zig of the Python package ziglang. The environment variable NNC_LLC names another one, NNC_CPU a narrower kind of processor (avx2), NNC_CACHE the folder in which compiled code is kept ("off": none).

The exit code is 1 if the interpreter has to stand in.`
}

// Run carries out the command.
func (c *doctorCmd) Run(std *command.Streams) error {
	wrong := false
	row := func(name, text string, err error) {
		mark := "ok"
		if err != nil {
			mark, text, wrong = "NO", err.Error(), true
		}
		fmt.Fprintf(std.Out, "%-2s  %-12s  %s\n", mark, name, text)
	}
	row("system", runtime.GOOS+"/"+runtime.GOARCH, code.Callable())
	level, err := native.DetectLevel()
	row("processor", fmt.Sprintf("%s, has %s (%s)", code.CPU(), level.Name, level.CPU), err)
	row("threads", fmt.Sprint(runtime.GOMAXPROCS(0)), nil)
	tools, err := native.FindToolchain()
	if err == nil {
		row("LLVM", fmt.Sprintf("%d, %s", tools.Version, tools.Path), nil)
	} else {
		row("LLVM", "", err)
	}
	if dir := native.CacheDir(); dir == "" {
		row("cache", "none: programs are compiled each time", nil)
	} else {
		files, bytes := folderSize(dir)
		row("cache", fmt.Sprintf("%s, %s in %d files", dir, term.Bytes(bytes), files), writable(dir))
	}
	if !wrong {
		start := time.Now()
		err := native.SelfTest()
		row("self-test", fmt.Sprintf("a kernel was compiled and run in %.2f s", time.Since(start).Seconds()), err)
	}
	if wrong {
		fmt.Fprintln(std.Out, "Programs run in the interpreter, which is many times slower.")
		return command.ErrFailed
	}
	fmt.Fprintln(std.Out, "Programs run as machine code.")
	return nil
}

// folderSize counts what lies in a folder.
func folderSize(dir string) (files int, bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			files, bytes = files+1, bytes+info.Size()
		}
		return nil
	})
	return files, bytes
}

// writable tries to write in a folder.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "doctor-*")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}
