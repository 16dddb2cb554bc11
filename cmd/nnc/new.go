package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nnc-lang/nnc/runtime/command"
)

// newCmd begins a project.
type newCmd struct {
	Name string `arg:"" help:"The folder to make; its last part names the program."`
}

// Help shows how the command is used.
func (newCmd) Help() string {
	return `Makes a folder with a program that trains at once, on points that a formula makes, and a README that says how to go on with data of your own.

    nnc new spirals
    nnc run spirals/spirals.nn`
}

//go:embed project
var project embed.FS

var projectName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// Run carries out the command.
func (c *newCmd) Run(std *command.Streams) error {
	name := filepath.Base(c.Name)
	if !projectName.MatchString(name) {
		return command.Misuse("%q cannot name a project: use letters, digits, - and _, a letter first", name)
	}
	if err := os.Mkdir(c.Name, 0o777); errors.Is(err, fs.ErrExist) {
		return command.Misuse("%s is there already", c.Name)
	} else if err != nil {
		return fmt.Errorf("cannot make the folder %s: %w", c.Name, withoutPath(err))
	}
	program := filepath.Join(c.Name, name+".nn")
	for file, to := range map[string]string{"program.nn": program, "README.md": filepath.Join(c.Name, "README.md")} {
		text, err := project.ReadFile("project/" + file)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		if err := writeWhole(to, strings.ReplaceAll(string(text), "NAME", name)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(std.Out, "%s is a program that trains at once:\n\n    nnc run %s\n", program, program)
	return err
}
