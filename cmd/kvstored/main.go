// Command kvstored is the key-value store of this machine: it serves Redis
// clients on a Unix socket, out of an engine that can be exchanged under them.
//
// This package is flags, wiring and exit codes; pkg/server does the work.
package main

import (
	"errors"
	"os"

	"go.uber.org/zap"

	"kvstored/pkg/logging"
)

// version is set when the program is linked.
var version = "0.1.0"

func main() { os.Exit(run(os.Args[1:])) }

// run is the whole program, up to its exit code.
func run(args []string) int {
	level := zap.NewAtomicLevel()
	log := logging.New(os.Stderr, level)
	root := newRoot(level, log)
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	var quiet exitCode
	if errors.As(err, &quiet) {
		return int(quiet)
	}
	return report(log, err)
}
