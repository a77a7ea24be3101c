package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"kvstored/pkg/logging"
	"kvstored/pkg/server"
)

// How often the figures in STATUS= are looked at: often while something
// happens, rarely while nothing does.
const (
	figuresBusy = 5 * time.Second
	figuresIdle = 30 * time.Second
	figuresSoon = 200 * time.Millisecond // something changed that people wait for
)

// keepTold tells systemd the figures, and that the serving path works: the
// watchdog is fed only by an answer that came through it.
func (d *daemon) keepTold(ctx context.Context) {
	figures := time.NewTimer(figuresBusy)
	defer figures.Stop()
	var watchdog <-chan time.Time
	if d.watch > 0 {
		ticker := time.NewTicker(d.watch / 2)
		defer ticker.Stop()
		watchdog = ticker.C
		d.feedWatchdog(ctx)
	}
	last, at := server.Figures{}, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-watchdog:
			d.feedWatchdog(ctx)
		case <-d.retold:
			figures.Reset(figuresSoon)
		case <-figures.C:
			next := figuresIdle
			if now, err := d.ask(ctx, figuresBusy); err == nil {
				if now != last {
					next = figuresBusy
				}
				d.tellFigures(now, rate(last, now, time.Since(at)))
				last, at = now, time.Now()
			}
			giveBack()
			figures.Reset(next)
		}
	}
}

// ask sends a question through the serving path.
func (d *daemon) ask(ctx context.Context, patience time.Duration) (server.Figures, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return d.srv.Ping(ctx)
}

// feedWatchdog tells systemd that requests are being answered, if they are.
func (d *daemon) feedWatchdog(ctx context.Context) {
	if _, err := d.ask(ctx, d.watch/2); err != nil {
		if ctx.Err() == nil {
			d.log.Error("the watchdog is not fed: no answer from the serving path", logging.Why(err.Error()))
		}
		return
	}
	d.notify.Watchdog()
}

// retell has STATUS= set anew soon, from any goroutine, without waiting.
func (d *daemon) retell() {
	select {
	case d.retold <- struct{}{}:
	default: // it is about to be
	}
}

// tellBusy sets STATUS= in place of the figures, until the reload is over.
func (d *daemon) tellBusy(text string) {
	d.busy.Store(&text)
	d.notify.Status(text)
}

// tellFigures sets STATUS=.
func (d *daemon) tellFigures(f server.Figures, perSecond float64) {
	if text := d.busy.Load(); text != nil {
		d.notify.Status(*text)
		return
	}
	d.notify.Status(d.statusText(f, perSecond))
}

// statusText is what systemctl status shows.
func (d *daemon) statusText(f server.Figures, perSecond float64) string {
	text := fmt.Sprintf("%s: %s, %s, %s, %.0f requests/s", d.serving(),
		count(uint64(f.Clients), "client"), count(f.Keys, "key"), bytesText(f.Memory), perSecond)
	if f.Refusing != "" {
		text += "; writes are refused: " + f.Refusing
	}
	return text
}

// rate is how many requests there were in a second. A few a minute are none.
func rate(last, now server.Figures, elapsed time.Duration) float64 {
	if elapsed <= 0 || now.Commands < last.Commands {
		return 0
	}
	return float64(now.Commands-last.Commands) / elapsed.Seconds()
}

// count is "1 key", "12 keys".
func count(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatUint(n, 10) + " " + noun + "s"
}

// bytesText is a size with three digits: "1.2M".
func bytesText(n uint64) string {
	const units = "BKMGTPE"
	value, unit := float64(n), 0
	for value >= 1000 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	if value < 10 && unit > 0 {
		return fmt.Sprintf("%.1f%c", value, units[unit])
	}
	return fmt.Sprintf("%.0f%c", value, units[unit])
}
