package server

import (
	"time"

	"go.uber.org/zap"

	"kvstored/pkg/logging"
	"kvstored/pkg/reactor"
	"kvstored/pkg/systemd"
)

// refusals is what is said of each limit, to the client (not where it cannot
// know what the words answer) and to the log with a figure of this name.
var refusals = [reactor.Reasons]struct{ reply, line, figure string }{
	reactor.TooManyClients: {"-ERR max number of clients reached\r\n", "connection refused: MaxClients= is reached", "clients"},
	reactor.TooMuchInput: {"-ERR Protocol error: request larger than MaxInput=\r\n",
		"connection closed: a request is larger than MaxInput=", "bytes"},
	reactor.TooMuchOutput: {"", "connection closed: it leaves more than MaxOutput= unread", "bytes"},
	reactor.Stalled:       {"", "connection closed: it has not read its replies for a minute", "bytes"},
	reactor.TooManyPushes: {"", "connection closed: a subscriber does not read its messages, MaxSubscriberOutput= is reached", "bytes"},
	reactor.NoMemory:      {"-OOM no memory for a request of this size\r\n", "connection closed: no memory for its request", "bytes"},
	reactor.NoDescriptor:  {"", "connections wait: no descriptor or memory is left for one more", "clients"},
}

// Refuse reports a limit, to the client where that makes sense and to the log.
func (w *worker) Refuse(c *reactor.Conn, why reactor.Reason, figure int) {
	what := &refusals[why]
	switch {
	case why == reactor.TooManyClients:
		w.s.figures.rejected.Add(1)
		w.r.SendOnce(c.FD, []byte(what.reply))
	case what.reply != "":
		w.r.Send(c, []byte(what.reply), nil)
	}
	unsaid, say := w.limits[why].next(time.Now())
	if !say {
		return
	}
	fields := []zap.Field{zap.Uint64("client", c.ID), zap.Int(what.figure, figure), logging.MessageID(systemd.MessageLimit)}
	if unsaid > 0 {
		fields = append(fields, zap.Int("unsaid", unsaid))
	}
	w.s.o.Log.Warn(what.line, fields...)
}

// sparing lets a line through once in sparingEvery: a client that meets a
// limit in a loop must not fill the log, nor wait for it.
type sparing struct {
	last   time.Time
	unsaid int
}

const sparingEvery = time.Second

// next tells whether to say the line at now, and how many before it were not.
func (s *sparing) next(now time.Time) (unsaid int, say bool) {
	if now.Sub(s.last) < sparingEvery {
		s.unsaid++
		return 0, false
	}
	unsaid, s.unsaid, s.last = s.unsaid, 0, now
	return unsaid, true
}
