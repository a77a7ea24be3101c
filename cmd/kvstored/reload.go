package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"kvstored/pkg/config"
	"kvstored/pkg/logging"
	"kvstored/pkg/systemd"
)

// While a reload runs systemd is asked every extendEvery for extendBy more.
const (
	extendEvery = 5 * time.Second
	extendBy    = 30 * time.Second
)

// hangup asks for a reload. While one waits to begin, another request is the
// same one; while one runs, it waits and is not lost.
func (d *daemon) hangup() {
	select {
	case d.hangups <- struct{}{}:
	default:
	}
}

// reloadOnHangup carries out the reloads that signals asked for.
func (d *daemon) reloadOnHangup(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.hangups:
			d.reload("")
		}
	}
}

// reload reads the configuration again and swaps to the engine at path, or to
// the configured one when path is "". Reloads go one after another. When it
// returns, systemd knows that it is over. The answer is for the requester;
// an error is one line that begins with "reload refused".
func (d *daemon) reload(path string) (string, error) {
	d.reloadMu.Lock()
	defer d.reloadMu.Unlock()
	over := d.tellReloading()
	defer over()
	answer, err := d.swap(path)
	if err != nil {
		return "", d.logRefusal(err, path)
	}
	return answer, nil
}

// tellReloading tells systemd that a reload runs, and keeps it patient, until
// the function that it returns is called.
func (d *daemon) tellReloading() (over func()) {
	d.notify.Reloading()
	d.notify.ExtendTimeout(extendBy)
	d.tellBusy("reading the configuration")
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(extendEvery)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				d.notify.ExtendTimeout(extendBy)
			}
		}
	}()
	return func() {
		close(done)
		d.busy.Store(nil)
		d.notify.Status(d.serving())
		d.notify.Ready()
	}
}

// swap does the work of a reload.
func (d *daemon) swap(path string) (string, error) {
	next, err := config.Load(d.where)
	if err != nil {
		return "", err
	}
	rule := next.Rule("Engine")
	if path == "" {
		path = next.EnginePath()
	} else {
		path, rule = next.PathOf(path), "ENGINE LOAD "+path
	}
	answer, err := d.swapEngine(next, path, rule)
	if err != nil {
		return "", err
	}
	d.adopt(next)
	return answer, nil
}

// adopt makes next the configuration in force.
func (d *daemon) adopt(next *config.Config) {
	old := d.conf.Load()
	if names := old.Pending(next); len(names) > 0 {
		d.log.Warn("changed, but counts from the next start on: "+strings.Join(names, "=, ")+"=",
			logging.Fix("sudo systemctl restart kvstored"))
	}
	d.level.SetLevel(logging.ParseLevel(next.LogLevel))
	d.conf.Store(next)
	d.srv.SetSync(syncMode(next))
	d.noteLimit()
	if err := d.srv.Tune(limitsOf(next, clientLimit(next.MaxClients)), thresholdsOf(next)); err != nil {
		return // it is ending
	}
}

// logRefusal logs why a reload was refused and gives the one line for the
// requester.
func (d *daemon) logRefusal(err error, path string) error {
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			d.log.Error("reload refused: "+p.Error(), logging.Fix(p.Fix), logging.MessageID(systemd.MessageBadConfig))
		}
		return oneLine(problems.Error(), d.serving()+" goes on", problems[0].Fix)
	}
	what, why, fix := explain(err)
	if path == "" {
		path = d.conf.Load().EnginePath()
	}
	d.log.Error("reload refused: "+what, logging.Why(why), logging.Fix(fix),
		zap.String("path", path), logging.MessageID(systemd.MessageSwapRefused))
	return oneLine(what, why, fix)
}

// oneLine is a refusal as the protocol carries it.
func oneLine(what, why, fix string) error {
	line := "reload refused: " + what
	if why != "" {
		line += "; why: " + why
	}
	if fix != "" {
		line += "; fix: " + fix
	}
	return fmt.Errorf("%s", strings.Join(strings.Fields(line), " "))
}
