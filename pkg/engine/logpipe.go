package engine

import (
	"bufio"
	"os"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// logPipe carries what an engine logs from C to the daemon's log: a line each,
// its level as a digit first. Engines write without waiting; what does not fit
// is dropped.
type logPipe struct {
	write   int           // descriptor, -1: there is none
	drained chan struct{} // told of each drainLine
}

// drainLine is a line that no engine writes: all before it was passed on.
const drainLine = "!"

// drainTime bounds how long drain waits.
const drainTime = time.Second

// drain waits until what the engine logged so far was passed on.
func (p *logPipe) drain() {
	if p.write < 0 {
		return
	}
	if _, err := unix.Write(p.write, []byte(drainLine+"\n")); err != nil {
		return
	}
	select {
	case <-p.drained:
	case <-time.After(drainTime):
	}
}

// newLogPipe starts to pass lines on until the pipe is closed; status gets
// those that say how far a long call has come.
func newLogPipe(log *zap.Logger, engine string, status func(string)) *logPipe {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		log.Warn("no log from the engine", zap.String("engine", engine), zap.Error(err))
		return &logPipe{write: -1}
	}
	p := &logPipe{write: fds[1], drained: make(chan struct{}, 1)}
	go passLines(os.NewFile(uintptr(fds[0]), "engine log"), log.With(zap.String("engine", engine)), status, p.drained)
	return p
}

// fd is what the engine's side writes to.
func (p *logPipe) fd() int { return p.write }

// close ends the pipe; the engine must not log any more.
func (p *logPipe) close() {
	if p.write >= 0 {
		unix.Close(p.write)
		p.write = -1
	}
}

func passLines(from *os.File, log *zap.Logger, status func(string), drained chan<- struct{}) {
	defer from.Close()
	for lines := bufio.NewScanner(from); lines.Scan(); {
		text := lines.Text()
		if text == drainLine {
			select {
			case drained <- struct{}{}:
			default: // nobody waits any more
			}
		}
		if len(text) < 2 {
			continue
		}
		switch level, text := text[0], text[1:]; {
		case level <= '3':
			log.Error(text)
		case level == '4':
			log.Warn(text)
		case level == '5':
			if status != nil {
				status(text)
			}
		case level == '7':
			log.Debug(text)
		default:
			log.Info(text)
		}
	}
}
