package cli

import (
	"errors"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"kvstored/pkg/client"
)

// top is the live view.
func (a *app) top() *cobra.Command {
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "top [OPTION...]",
		Short: "a live view of rates, latencies, memory, clients, hot keys and engine",
		Long: `Shows what the daemon does, until q. The hottest keys come from a sample that
the daemon always takes; the letter h hides them. On a pipe it prints the lines
of kvctl stat.`,
		Example: `  kvctl top
  kvctl top --interval 5s`,
		Args:              atMost(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if !a.outTTY || !a.inTTY || a.json {
				return a.statLines(every, 0)
			}
			return a.runTop(every)
		},
	}
	cmd.Flags().DurationVar(&every, "interval", time.Second, "look every TIME")
	placeholder(cmd.Flags(), "interval", "TIME")
	_ = cmd.RegisterFlagCompletionFunc("interval", cobra.NoFileCompletions)
	return cmd
}

// runTop shows the view.
func (a *app) runTop(every time.Duration) error {
	if every < 50*time.Millisecond {
		return usage("top: --interval is at least 50ms")
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	m := &topView{app: a, conn: c, every: every, width: 80, height: 24, hot: true}
	defer func() { _ = m.conn.Close() }()
	first, err := readInfo(c)
	if err != nil {
		return err
	}
	m.before, m.at = first, time.Now()
	_ = a.out.Flush()
	if _, err := tea.NewProgram(m).Run(); errors.Is(err, tea.ErrInterrupted) {
		return quiet(exitSignal + int(syscall.SIGINT))
	} else if err != nil {
		return failure{what: "cannot draw on this terminal: " + err.Error(), fix: "kvctl stat", code: ExitUsage}
	}
	return m.err
}

// topView is what the live view holds. Update and View run on one goroutine;
// look works on what it is given and is never run twice at once.
type topView struct {
	app    *app
	conn   *client.Conn
	every  time.Duration
	width  int
	height int

	before info
	at     time.Time
	now    sample
	rates  []float64 // commands a second, the newest last
	looked look
	hot    bool
	paused bool
	lost   string
	err    error
}

// look is what one look at the daemon gives.
type look struct {
	info    info
	clients []topClient
	ping    int64 // nanoseconds of a PING
	hot     []hotKey
	noHot   bool // the server does not tell
	err     error
}

// topClient is a line of CLIENT LIST.
type topClient struct{ id, name, who, cmd, age, idle string }

// tick asks for the next look.
type tick struct{}

// Init asks for the first look.
func (m *topView) Init() tea.Cmd { return m.wait() }

// wait waits for the next look.
func (m *topView) wait() tea.Cmd {
	return tea.Tick(m.every, func(time.Time) tea.Msg { return tick{} })
}

// Update takes keys and looks.
func (m *topView) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		switch msg.String() {
		case "ctrl+c":
			return m, tea.Interrupt
		case "q", "esc":
			return m, tea.Quit
		case "h":
			m.hot = !m.hot
		case "p", "space":
			m.paused = !m.paused
		case "+":
			m.every = max(m.every/2, 50*time.Millisecond)
		case "-":
			m.every = min(m.every*2, time.Minute)
		}
	case tick:
		if m.paused {
			return m, m.wait()
		}
		hot := m.hot
		return m, func() tea.Msg { return m.look(hot) }
	case look:
		m.take(msg)
		return m, m.wait()
	}
	return m, nil
}

// take puts a look into the view.
func (m *topView) take(l look) {
	if l.err != nil {
		f, _ := describe(l.err)
		m.lost = f.what
		return
	}
	m.lost = ""
	now := time.Now()
	m.now = between(m.before, l.info, now.Sub(m.at).Seconds())
	before := m.before
	m.before, m.at, m.looked = l.info, now, l
	for name, value := range before { // for the rates of single commands
		if strings.HasPrefix(name, "cmdstat_") {
			l.info["before_"+name] = value
		}
	}
	m.rates = append(m.rates, m.now.Commands)
	if len(m.rates) > 300 {
		m.rates = m.rates[len(m.rates)-300:]
	}
}

// look asks the daemon.
func (m *topView) look(hot bool) (l look) {
	begun := time.Now()
	if _, err := m.conn.Do("PING"); err != nil {
		return look{err: err}
	}
	l.ping = time.Since(begun).Nanoseconds()
	if l.info, l.err = readInfo(m.conn); l.err != nil {
		return l
	}
	if r, err := m.conn.Do("CLIENT", "LIST"); err == nil {
		l.clients = parseClients(r.Text())
	}
	if hot {
		var err error
		l.hot, err = askHotKeys(m.conn, 20)
		l.noHot = err != nil
	}
	return l
}

// parseClients reads CLIENT LIST, the busiest (least idle) first.
func parseClients(text string) []topClient {
	var all []topClient
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		f := map[string]string{}
		for _, word := range strings.Fields(line) {
			name, value, _ := strings.Cut(word, "=")
			f[name] = value
		}
		who := f["user"]
		if f["uid"] != "" {
			who = "uid " + f["uid"]
		}
		all = append(all, topClient{f["id"], f["name"], who, f["cmd"], f["age"], f["idle"]})
	}
	sort.SliceStable(all, func(i, j int) bool {
		a, _ := strconv.Atoi(all[i].idle)
		b, _ := strconv.Atoi(all[j].idle)
		return a < b
	})
	return all
}
