package cli

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"kvstored/pkg/client"
)

// window is how many commands travel before their replies are read.
const window = 1024

// line is a command of standard input that waits for its reply.
type line struct {
	number int
	args   []string
}

// feeder runs the commands of standard input.
type feeder struct {
	app     *app
	conn    *client.Conn
	waiting []line
	failed  bool
	ended   bool // a line said so
}

// lines runs the commands of standard input, one a line.  What is there already
// is sent at once; an answer never waits for a line that has not come yet.
func (a *app) lines() error {
	f := &feeder{app: a}
	defer func() {
		if f.conn != nil {
			_ = f.conn.Close()
		}
	}()
	in := bufio.NewReaderSize(a.in, 64<<10)
	for number := 1; ; number++ {
		if len(f.waiting) == window || !holdsLine(in) {
			if err := f.settle(); err != nil {
				return err
			}
		}
		text, err := in.ReadString('\n')
		if text != "" {
			if err := f.add(number, strings.TrimRight(text, "\r\n")); err != nil {
				return err
			}
		}
		if err == io.EOF || f.ended {
			break
		} else if err != nil {
			return failure{what: "cannot read standard input: " + err.Error(), code: ExitUsage}
		}
	}
	if err := f.settle(); err != nil {
		return err
	}
	if f.failed {
		return quiet(ExitServer)
	}
	return nil
}

// holdsLine reports whether the next line can be read without waiting.
func holdsLine(in *bufio.Reader) bool {
	ready, _ := in.Peek(in.Buffered())
	return bytes.IndexByte(ready, '\n') >= 0
}

// add sends one line.
func (f *feeder) add(number int, text string) error {
	if strings.HasPrefix(strings.TrimSpace(text), "#") {
		return nil
	}
	args, err := split(text)
	if err != nil {
		if err := f.settle(); err != nil {
			return err
		}
		f.complain(number, badLine(err, "", ExitServer))
		return nil
	}
	if len(args) == 0 {
		return nil
	}
	if len(args) == 1 && (strings.EqualFold(args[0], "QUIT") || strings.EqualFold(args[0], "EXIT")) {
		f.ended = true
		return nil
	}
	if f.conn == nil {
		if f.conn, err = f.app.dial(); err != nil {
			return err
		}
	}
	if err := f.conn.Send(args...); err != nil {
		return err
	}
	f.waiting = append(f.waiting, line{number, args})
	return nil
}

// settle prints the replies to all that was sent.
func (f *feeder) settle() error {
	if len(f.waiting) == 0 {
		return f.app.out.Flush()
	}
	if err := f.conn.Flush(); err != nil {
		return err
	}
	for i, l := range f.waiting {
		kind, err := f.app.receive(f.conn, l.args, false)
		var lost *client.LostError
		var server *client.ServerError
		switch {
		case errors.As(err, &lost) && !lost.Midway:
			return located{place(f.waiting[i+lost.Index].number), err}
		case errors.As(err, &server):
			f.complain(l.number, explainServer(err, l.args))
		case err != nil:
			return located{place(l.number), err}
		case kind == client.Nil && !f.app.json && !f.app.outTTY:
			_ = f.app.out.WriteByte('\n') // answers keep in step with the lines
		}
	}
	f.waiting = f.waiting[:0]
	return f.app.out.Flush()
}

// complain reports the failure of one line and goes on.
func (f *feeder) complain(number int, err error) {
	_ = f.app.out.Flush()
	f.app.report(located{place(number), err})
	f.failed = true
}

// place names a line of standard input.
func place(number int) string { return "line " + strconv.Itoa(number) }
