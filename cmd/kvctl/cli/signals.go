package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// exitSignal and the number of the signal that ended kvctl are its exit status,
// as shells have it: 130 for Ctrl-C.
const exitSignal = 128

// signals tells of Ctrl-C and of SIGTERM, and has them be the exit status,
// until done is called.
func (a *app) signals() (stop <-chan os.Signal, done func()) {
	raw, told := make(chan os.Signal, 1), make(chan os.Signal, 1)
	over := make(chan struct{})
	signal.Notify(raw, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case s := <-raw:
			if number, ok := s.(syscall.Signal); ok && a.ended != nil {
				a.ended.Store(int32(number))
			}
			told <- s
		case <-over:
		}
	}()
	return told, func() {
		signal.Stop(raw)
		close(over)
	}
}

// status is the exit status of a run that ended with code, if no signal ended
// it.
func (a *app) status(code int) int {
	if n := a.ended.Load(); n != 0 {
		return exitSignal + int(n)
	}
	return code
}
