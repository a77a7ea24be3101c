package main

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"kvstored/pkg/config"
	"kvstored/pkg/logging"
	"kvstored/pkg/systemd"
)

// Exit codes. Where systemd has a name for a reason its number is used, so
// that systemctl status shows it.
const (
	exitOK            = 0
	exitFailure       = 1
	exitUsage         = 2
	exitNotPermitted  = 4
	exitNoEngine      = 5
	exitNotConfigured = 6
)

// exitCodes explains them, for --help and the manual.
var exitCodes = []struct {
	code int
	text string
}{
	{exitOK, "stopped as asked (SIGTERM, SIGINT)"},
	{exitFailure, "anything that is not below; the message says what"},
	{exitUsage, "wrong use: an unknown flag, or no socket to listen on"},
	{exitNotPermitted, "something that is needed is not permitted"},
	{exitNoEngine, "the engine is missing or was refused"},
	{exitNotConfigured, "the configuration has a mistake"},
}

// exitCode is an error that has been reported already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// failure is why the program ends without having done its work.
type failure struct {
	code int
	what string
	why  string
	fix  string
}

func (f *failure) Error() string { return f.what }

// usage is the failure of a command line.
type usage struct{ what, fix string }

func (u *usage) Error() string { return u.what }

// misuse makes the failure of a command line.
func misuse(what string) *usage { return &usage{what, "kvstored --help"} }

// report says why the daemon does not start and gives the exit code.
func report(log *zap.Logger, err error) int {
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			log.Error("not starting: "+p.Error(), logging.Fix(p.Fix),
				logging.MessageID(systemd.MessageBadConfig))
		}
		return exitNotConfigured
	}
	var u *usage
	if errors.As(err, &u) {
		log.Error(u.what, logging.Fix(u.fix))
		return exitUsage
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{code: exitFailure, what: err.Error()}
	}
	log.Error("not starting: "+f.what, logging.Why(f.why), logging.Fix(f.fix),
		logging.MessageID(systemd.MessageNotStarting))
	return f.code
}
