// gen writes the manual pages and the completions of kvctl, made from the
// commands themselves:
//
//	go run ./packaging/gen packaging
//
// writes packaging/man/kvctl*.1 and packaging/completions/*.  They are kept in
// the tree for packages to install; a test compares them.  The pages of the
// daemon lie beside them and come from its own sources.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"kvstored/cmd/kvctl/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./packaging/gen DIRECTORY")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gen: "+err.Error())
		os.Exit(1)
	}
}

// write puts all files below dir.
func write(dir string) error {
	all, err := files()
	if err != nil {
		return err
	}
	for name, data := range all {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// files makes everything, by its path below the directory.
func files() (map[string][]byte, error) {
	all := map[string][]byte{}
	for name, text := range pages(cli.Root("")) {
		all["man/"+name] = []byte(text)
	}
	names := map[string]string{"bash": "kvctl.bash", "zsh": "_kvctl", "fish": "kvctl.fish"}
	for _, shell := range cli.Shells {
		var script bytes.Buffer
		if err := cli.WriteCompletion(cli.Root(""), shell, &script); err != nil {
			return nil, fmt.Errorf("making the completion for %s: %w", shell, err)
		}
		all["completions/"+names[shell]] = script.Bytes()
	}
	return all, nil
}
