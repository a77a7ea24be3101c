package cli

import (
	"fmt"
	"sort"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// View draws the screen.
func (m *topView) View() tea.View {
	var b strings.Builder
	m.head(&b)
	m.figures(&b)
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	room := max(m.height-1, 1)
	var tables [][]string
	for _, table := range [][]string{m.hotKeys(), m.commands(), m.clientTable()} {
		if len(table) > 0 {
			tables = append(tables, table)
		}
	}
	for i, table := range tables {
		lines = append(lines, shareOf(table, room-len(lines), len(tables)-i)...)
	}
	if len(lines) > room {
		lines = lines[:room]
	}
	for len(lines) < room {
		lines = append(lines, "")
	}
	lines = append(lines, m.app.style(true, "7", clip(fmt.Sprintf(" q ends  h hot keys %s  p pause %s  + - interval %s ", onOff(m.hot), onOff(m.paused), m.every), m.width)))
	v := tea.NewView(strings.Join(lines, "\n"))
	v.AltScreen = true
	return v
}

// shareOf is as much of a table, whose first line is its heading, as goes into
// its part of the rows that are left for n tables, below an empty line.
func shareOf(table []string, left, n int) []string {
	rows := left / n
	if n == 1 {
		rows = left
	}
	if rows < 3 {
		rows = min(left, 3)
	}
	if rows < 3 {
		return nil
	}
	return append([]string{""}, table[:min(len(table), rows-1)]...)
}

// onOff is a switch's state.
func onOff(on bool) string {
	if on {
		return "(on)"
	}
	return "(off)"
}

// clip cuts plain text at a width.
func clip(text string, width int) string {
	runes := []rune(text)
	if len(runes) > width {
		return string(runes[:max(width, 0)])
	}
	return text
}

// head is the line about daemon and engine.
func (m *topView) head(b *strings.Builder) {
	i := m.before
	up := (time.Duration(i.number("uptime_in_seconds")) * time.Second).String()
	line := fmt.Sprintf("kvstored %s  engine %s  generation %s  up %s  %s", i["kvstored_version"], i.engine(), i["engine_generation"], up, time.Now().Format("15:04:05"))
	if state := i["engine_state"]; state != "" && state != "idle" && state != "serving" {
		line += "  exchange: " + state
	}
	b.WriteString(m.app.style(true, "1", clip(line, m.width)) + "\n")
	if m.lost != "" {
		b.WriteString(m.app.style(true, "1;31", clip(m.lost+"; trying again", m.width)) + "\n")
	}
	if m.height >= lowScreen {
		b.WriteString("\n")
	}
}

// lowScreen is the height below which the least of the figures are left out.
const lowScreen = 18

// figures are rates, latency and memory, with the last minutes drawn.
func (m *topView) figures(b *strings.Builder) {
	s := m.now
	i := m.before
	memory := size(s.Memory)
	if limit := i.number("maxmemory"); limit > 0 {
		memory += " of " + size(int64(limit))
	}
	rows := []string{
		fmt.Sprintf("commands/s %12s  %s", grouped(int64(s.Commands+0.5)), m.app.style(true, "36", spark(m.rates, max(m.width-34, 10)))),
		fmt.Sprintf("CPU        %11.1f%%  %.1f µs a command", s.CPU, s.CPUCommand),
		fmt.Sprintf("memory     %12s  resident %s", memory, size(s.RSS)),
		fmt.Sprintf("keys       %12s  expired %.0f/s, evicted %.0f/s", grouped(s.Keys), s.Expired, s.Evicted),
		fmt.Sprintf("answer     %12s  PING from here", short(m.looked.ping)),
		fmt.Sprintf("clients    %12d  of %s, %.1f new/s", s.Clients, i["maxclients"], s.Connections),
		fmt.Sprintf("exchanges  %12d  longest pause %s µs, refused %s", s.Swaps, orNone(i["engine_lane_held_max_us"]), orNone(i["engine_refused"])),
	}
	if m.height < lowScreen {
		rows = rows[:4]
	}
	b.WriteString(strings.Join(rows, "\n") + "\n")
}

// orNone is a figure that a server may lack.
func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// spark draws the newest values in so many columns.
func spark(values []float64, width int) string {
	if len(values) > width {
		values = values[len(values)-width:]
	}
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	levels := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range values {
		at := 0
		if most > 0 {
			at = int(v / most * float64(len(levels)-1))
		}
		b.WriteRune(levels[at])
	}
	return b.String()
}

// commands are those carried out most, with their times where the server tells.
func (m *topView) commands() []string {
	type row struct {
		name  string
		calls float64
		usec  float64
	}
	var rows []row
	for name, value := range m.before {
		command, ok := strings.CutPrefix(name, "cmdstat_")
		if !ok {
			continue
		}
		now, before := fieldsOf(value), fieldsOf(m.before["before_"+name])
		calls := now["calls"] - before["calls"]
		if calls > 0 {
			rows = append(rows, row{command, calls, (now["usec"] - before["usec"]) / calls})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].calls > rows[j].calls })
	table := []string{m.app.style(true, "1", clip("commands          calls  µs each  percentiles (µs)", m.width))}
	for _, r := range rows {
		line := fmt.Sprintf("%-12s %10s %8.1f  %s", strings.ToUpper(printable(r.name)), grouped(int64(r.calls)), r.usec, m.before["latency_percentiles_usec_"+r.name])
		table = append(table, clip(line, m.width))
	}
	return table
}

// fieldsOf reads "calls=1,usec=2".
func fieldsOf(text string) map[string]float64 {
	i := info{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		i[name] = value
	}
	out := map[string]float64{}
	for name := range i {
		out[name] = i.number(name)
	}
	return out
}

// hotKeys are the keys that are asked for most.
func (m *topView) hotKeys() []string {
	if !m.hot || m.looked.noHot {
		return nil
	}
	table := []string{m.app.style(true, "1", clip("hottest keys  ops/s  share", m.width))}
	for _, h := range m.looked.hot {
		drawn := m.app.style(true, "36", bar(int64(1e6*h.Share), int64(1e6*m.looked.hot[0].Share), 8))
		table = append(table, fmt.Sprintf("%s %10s %5.1f%% %s", drawn, grouped(int64(h.PerSecond+0.5)), 100*h.Share, clip(h.label(), max(m.width-27, 8))))
	}
	if len(table) == 1 {
		table = append(table, "none stands out")
	}
	return table
}

// clientTable lists the clients that did something last.
func (m *topView) clientTable() []string {
	if len(m.looked.clients) == 0 {
		return nil
	}
	head := fmt.Sprintf("%-8s %-20s %-12s %-16s %6s %6s", "client", "name", "who", "last command", "age", "idle")
	table := []string{m.app.style(true, "1", clip(head, m.width))}
	for _, c := range m.looked.clients {
		line := fmt.Sprintf("%-8s %-20s %-12s %-16s %5ss %5ss", c.id, clip(printable(orNone(c.name)), 20), clip(c.who, 12), clip(printable(c.cmd), 16), c.age, c.idle)
		table = append(table, clip(line, m.width))
	}
	return table
}
