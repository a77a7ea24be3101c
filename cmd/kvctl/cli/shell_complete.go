package cli

import (
	"bufio"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"
	"unicode"

	"github.com/reeflective/readline"
	"golang.org/x/term"

	"kvstored/pkg/client"
	"kvstored/pkg/command"
)

// typed takes the line up to the cursor apart: the words that are complete and
// the one that was begun, with its opening quote.
func typed(line string) (words []string, begun, quote string) {
	for i := 0; ; {
		for i < len(line) && isBlank(line[i]) {
			i++
		}
		if i == len(line) {
			return words, "", ""
		}
		word, end, err := splitWord(line, i)
		if err != nil || end == len(line) {
			raw := line[i:]
			if raw[0] == '"' || raw[0] == '\'' {
				return words, raw[1:], raw[:1]
			}
			return words, raw, ""
		}
		words = append(words, word)
		i = end
	}
}

// hint says, below the line, what may follow what was typed.
func (s *shell) hint(line []rune, cursor int) []rune {
	makeRoom(s.app.out, line, cursor)
	words, begun, _ := typed(string(line[:min(cursor, len(line))]))
	if begun != "" {
		words = append(words, begun)
	}
	text := hintFor(words)
	if text == "" {
		return nil // a row is counted for what is merely a change of colours
	}
	return []rune(s.app.style(true, "2", text))
}

// makeRoom scrolls the screen until there are rows below the cursor for the
// rest of the line and one more: the line editor steps there and back, and
// at the last row of the screen it would come back to another place. ESC D
// goes down in the same column and scrolls where that is needed.
func makeRoom(out *bufio.Writer, line []rune, cursor int) {
	width, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return
	}
	rest := line[min(cursor, len(line)):]
	rows := 2 + len(line)/max(width, 20)
	for _, r := range rest {
		if r == '\n' {
			rows++
		}
	}
	fmt.Fprintf(out, "%s\x1b[%dA", strings.Repeat("\x1bD", rows), rows)
	_ = out.Flush()
}

// hintFor is the text of the hint; empty where there is nothing to say.
func hintFor(words []string) string {
	if len(words) == 0 {
		return ""
	}
	if strings.EqualFold(words[0], "watch") && len(words) > 1 {
		if _, inner, ok := watchWords(append(words[1:], "")); ok && len(words) > 2 {
			return hintFor(inner[:len(inner)-1])
		}
	}
	cmd, args := called(words)
	if cmd == nil {
		return ""
	}
	if len(cmd.Subcommands) > 0 && len(args) == 0 {
		return strings.ToUpper(words[0]) + " " + cmd.Summary
	}
	left := after(cmd.Syntax, args)
	text := left.String()
	if text == "" && len(args) == 0 {
		return cmd.Summary
	}
	if len(args) == 0 {
		text += "  - " + cmd.Summary
	}
	return text
}

// complete offers what may be typed at the cursor.
func (s *shell) complete(line []rune, cursor int) readline.Completions {
	words, begun, quote := typed(string(line[:min(cursor, len(line))]))
	if len(words) > 1 && strings.EqualFold(words[0], "watch") {
		if _, _, ok := watchWords(append(words[1:], "x")); ok {
			words = words[2:]
		}
	}
	if len(words) == 0 {
		return s.completeNames(begun)
	}
	if strings.EqualFold(words[0], "help") && len(words) == 1 {
		return s.completeNames(begun)
	}
	cmd, args := called(words)
	if cmd == nil {
		return s.completeOwn(words, begun)
	}
	if len(cmd.Subcommands) > 0 && len(args) == 0 {
		return described(cmd.Subcommands, begun)
	}
	left := after(cmd.Syntax, args)
	var all readline.Completions
	if options := left.options(); len(options) > 0 {
		all = readline.CompleteValues(inCase(options, begun)...).Tag("options")
	}
	if left.wantsKey() {
		keys := s.keys.offer(unescaped(begun))
		offers := make([]string, len(keys))
		for i, key := range keys {
			offers[i] = typeable(key, quote)
		}
		all = all.Merge(readline.CompleteValues(offers...).Tag("keys"))
	}
	return all
}

// unescaped is the begun word without the escapes of a quoted one.
func unescaped(begun string) string {
	if words, err := split(`"` + begun + `"`); err == nil && len(words) == 1 {
		return words[0]
	}
	return begun
}

// typeable writes a key so that the shell reads it back.
func typeable(key, quote string) string {
	quoted := quote != "" || key == ""
	for _, r := range key {
		if unicode.IsSpace(r) || r == '"' || r == '\'' || r == '\\' || !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			quoted = true
		}
	}
	if quoted {
		return quote2(key)
	}
	return key
}

// quote2 is the key in double quotes.
func quote2(key string) string { return quote([]byte(key)) }

// inCase writes names in small letters if the word was begun so.
func inCase(names []string, begun string) []string {
	if begun == "" || begun != strings.ToLower(begun) {
		return names
	}
	lower := make([]string, len(names))
	for i, name := range names {
		lower[i] = strings.ToLower(name)
	}
	return lower
}

// completeNames offers the commands of the server and of kvctl.
func (s *shell) completeNames(begun string) readline.Completions {
	var own []string
	for _, cmd := range Children(s.tree()) {
		if cmd.Name() != "completion" {
			own = append(own, cmd.Name(), cmd.Short)
		}
	}
	own = append(own, "clear", "clear the screen", "exit", "leave the shell", "quit", "leave the shell")
	return described(command.Table(), begun).Merge(readline.CompleteValuesDescribed(own...).Tag("of kvctl"))
}

// completeOwn offers the subcommands and options of a command of kvctl.
func (s *shell) completeOwn(words []string, begun string) readline.Completions {
	found, _, err := s.tree().Find(words)
	if err != nil || !found.HasParent() {
		return readline.CompleteMessage("no such command: " + words[0])
	}
	var offers []string
	for _, child := range Children(found) {
		offers = append(offers, child.Name(), child.Short)
	}
	for _, row := range FlagRows(found.NonInheritedFlags()) {
		name := row[0][strings.LastIndex(row[0], "--"):]
		name, _, _ = strings.Cut(name, " ")
		offers = append(offers, name, row[1])
	}
	return readline.CompleteValuesDescribed(offers...)
}

// described offers commands with what they do.
func described(list []*command.Command, begun string) readline.Completions {
	var offers []string
	for _, cmd := range list {
		name := strings.ToUpper(cmd.Name)
		if begun != "" && begun == strings.ToLower(begun) {
			name = strings.ToLower(cmd.Name)
		}
		offers = append(offers, name, cmd.Summary)
	}
	return readline.CompleteValuesDescribed(offers...).Tag("commands")
}

const (
	offerBudget = 50 * time.Millisecond // for asking the server about keys
	offerLimit  = 100                   // keys in one menu
	offerFresh  = 2 * time.Second       // how long an answer is good for
)

// keyOffers finds keys that begin with what was typed, on a connection of its
// own, within a time that a person does not notice.
type keyOffers struct {
	app  *app
	conn *client.Conn
	past map[string]offered
}

// offered is one answer.
type offered struct {
	keys []string
	at   time.Time
}

func newKeyOffers(a *app) *keyOffers { return &keyOffers{app: a, past: map[string]offered{}} }

func (k *keyOffers) close() {
	if k.conn != nil {
		_ = k.conn.Close()
	}
}

// forget drops the answers: keys changed.
func (k *keyOffers) forget() { k.past = map[string]offered{} }

// offer is the keys that begin with prefix, as many as are found in time.
func (k *keyOffers) offer(prefix string) []string {
	if known, ok := k.past[prefix]; ok && time.Since(known.at) < offerFresh {
		return known.keys
	}
	if k.conn == nil {
		conn, err := k.app.dialWith(client.Options{Retry: -1})
		if err != nil {
			return nil
		}
		k.conn = conn
	}
	keys, err := scanPrefix(k.conn, prefix, time.Now().Add(offerBudget))
	if err != nil {
		k.close()
		k.conn = nil
	}
	k.past[prefix] = offered{keys, time.Now()}
	return keys
}

// scanPrefix walks over keys until the time is up or there are enough.
func scanPrefix(c *client.Conn, prefix string, until time.Time) ([]string, error) {
	pattern := globEscape(prefix) + "*"
	_ = c.SetDeadline(until.Add(offerBudget))
	defer func() { _ = c.SetDeadline(time.Time{}) }()
	found := map[string]bool{}
	for cursor := "0"; ; {
		r, err := c.Do("SCAN", cursor, "MATCH", pattern, "COUNT", "1000")
		if err != nil || len(r.Items) != 2 {
			return sorted(found), err
		}
		for _, item := range r.Items[1].Items {
			found[item.Text()] = true
		}
		cursor = r.Items[0].Text()
		if cursor == "0" || len(found) >= offerLimit || time.Now().After(until) {
			return sorted(found), nil
		}
	}
}

// sorted is at most as many keys as a menu holds, in order.
func sorted(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys[:min(len(keys), offerLimit)]
}

// globEscape writes text so that a pattern means just that.
func globEscape(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`).Replace(text)
}

// highlight colours a line while it is typed: commands that exist green,
// others red, quoted text yellow, options cyan.
func highlight(line []rune) string {
	text := string(line)
	var b strings.Builder
	words, i := []string{}, 0
	for i < len(text) {
		if isBlank(text[i]) {
			if text[i] == '\n' {
				words = words[:0] // another statement
			}
			b.WriteByte(text[i])
			i++
			continue
		}
		word, end, err := splitWord(text, i)
		if err != nil {
			end = len(text)
		}
		raw := text[i:end]
		if code := colorOf(words, word, raw); code != "" {
			b.WriteString("\x1b[" + code + "m" + raw + "\x1b[0m")
		} else {
			b.WriteString(raw)
		}
		words = append(words, word)
		i = end
	}
	return b.String()
}

// colorOf is the colour of the word that follows words.
func colorOf(words []string, word, raw string) string {
	switch {
	case raw[0] == '"' || raw[0] == '\'':
		return "33"
	case len(words) == 0 && command.Lookup([]byte(word)) != nil:
		return "1;32"
	case len(words) == 0:
		return ""
	}
	cmd, args := called(words)
	if cmd == nil {
		return ""
	}
	for _, option := range after(cmd.Syntax, args).options() {
		if strings.EqualFold(option, word) {
			return "36"
		}
	}
	return ""
}
