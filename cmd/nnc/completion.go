package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/nnc-lang/nnc/runtime/command"
)

// completionCmd writes what a shell needs to complete command lines.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help shows how the command is used.
func (completionCmd) Help() string {
	return `Prints a script that completes commands, flags and file names.

    source <(nnc completion bash)        in ~/.bashrc
    source <(nnc completion zsh)         in ~/.zshrc
    nnc completion fish | source         in ~/.config/fish/config.fish`
}

// Run carries out the command.
func (c *completionCmd) Run(std *command.Streams, at *kong.Context) error {
	write := map[string]func(*strings.Builder, *kong.Application){"bash": completeBash, "zsh": completeZsh, "fish": completeFish}[c.Shell]
	var b strings.Builder
	write(&b, at.Model)
	_, err := std.Out.Write([]byte(b.String()))
	return err
}

// flagNames lists a command's flags as they are typed.
func flagNames(n *kong.Node) (names []string) {
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			names = append(names, "--"+f.Name)
		}
	}
	return names
}

func completeBash(b *strings.Builder, app *kong.Application) {
	var names []string
	for _, n := range app.Children {
		names = append(names, n.Name)
	}
	fmt.Fprintf(b, `_nnc() {
    local word=${COMP_WORDS[COMP_CWORD]} words=
    if [ "$COMP_CWORD" = 1 ]; then
        words="%s"
    else
        case "${COMP_WORDS[1]}" in
`, strings.Join(names, " "))
	for _, n := range app.Children {
		fmt.Fprintf(b, "        %s) words=\"%s\" ;;\n", n.Name, strings.Join(flagNames(n), " "))
	}
	b.WriteString(`        esac
        case "$word" in
        -*) ;;
        *)
            COMPREPLY=($(compgen -f -- "$word"))
            return
            ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o filenames -F _nnc nnc
`)
}

func completeZsh(b *strings.Builder, app *kong.Application) {
	b.WriteString("autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n")
	completeBash(b, app)
}

func completeFish(b *strings.Builder, app *kong.Application) {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace
	for _, n := range app.Children {
		fmt.Fprintf(b, "complete -c nnc -n __fish_use_subcommand -f -a %s -d '%s'\n", n.Name, quote(n.Help))
		for _, group := range n.AllFlags(true) {
			for _, f := range group {
				fmt.Fprintf(b, "complete -c nnc -n '__fish_seen_subcommand_from %s' -l %s -d '%s'\n", n.Name, f.Name, quote(f.Help))
			}
		}
	}
}
