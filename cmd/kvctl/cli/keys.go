package cli

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"kvstored/pkg/client"
)

// branchLimit is how many branches one place of the tree holds; what comes
// later is counted together.
const branchLimit = 10_000

// tree is the keys with one beginning.
type tree struct {
	keys, bytes int64
	expiring    int64
	below       map[string]*tree
	biggest     string // the longest value's key
	most        int64  // its length
}

// census is one run of kvctl keys.
type census struct {
	app       *app
	depth     int
	top       int
	separator string
	match     string
	noSizes   bool
	hot       bool
	narrow    bool // the terminal is
	all       tree

	seen, bytes atomic.Int64 // for the progress bar
}

// keysCommand shows the keys as a tree.
func (a *app) keysCommand() *cobra.Command {
	k := &census{app: a}
	cmd := &cobra.Command{
		Use:   "keys [OPTION...] | keys PATTERN",
		Short: "show the keys as a tree by their beginnings, with counts and sizes",
		Long: `Walks over all keys while the daemon goes on and counts them by their
beginnings (user:, session:), with how much their names and values hold, how
many expire, and the biggest of each.

On a pipe each line is the beginning, the keys, the bytes, those that expire and
the biggest key, with tabs between. With a PATTERN it is the command KEYS.

--hot walks over nothing: the daemon always looks at a sample of what is done
and tells which keys were asked for most in the last half minute (ENGINE
HOTKEYS). On a pipe each line is the key, its database, the operations a second
and their share of all, with tabs between.`,
		Example: `  kvctl keys
  kvctl keys --depth 3 --top 5
  kvctl keys --match 'session:*'
  kvctl keys --hot
  kvctl keys 'user:*'`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return a.command(cmd, append([]string{"keys"}, args...))
			}
			return k.run()
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false)
	f.IntVar(&k.depth, "depth", 2, "show N levels")
	f.IntVar(&k.top, "top", 10, "show the N biggest of each level")
	f.StringVar(&k.separator, "separator", ":", "TEXT parts the levels")
	f.StringVar(&k.match, "match", "", "only keys that match PATTERN")
	f.BoolVar(&k.noSizes, "no-sizes", false, "count only; faster")
	f.BoolVar(&k.hot, "hot", false, "show the keys that are asked for most, with operations a second")
	for name, word := range map[string]string{"depth": "N", "top": "N", "separator": "TEXT", "match": "PATTERN"} {
		placeholder(f, name, word)
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	a.dbFlag(cmd)
	return cmd
}

// run walks and prints.
func (k *census) run() error {
	if k.depth < 1 || k.top < 1 || k.separator == "" {
		return usage("keys: --depth and --top are at least 1, --separator is not empty")
	}
	if k.hot {
		return k.hottest()
	}
	c, err := k.app.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	var total int64
	if n, err := c.Do("DBSIZE"); err == nil && k.match == "" {
		total = n.Int
	}
	if err := k.walk(c, total); err != nil {
		return err
	}
	switch {
	case k.app.json:
		return k.app.object(k.object("", &k.all))
	case k.app.outTTY:
		return k.app.paged(func() error { k.page(); return nil })
	}
	k.lines("", &k.all)
	return nil
}

// walk counts every key.
func (k *census) walk(c *client.Conn, total int64) error {
	bar := k.app.progress(total, func() state { n := k.seen.Load(); return state{done: n, keys: n, bytes: k.bytes.Load()} })
	defer bar.end()
	for cursor := "0"; ; {
		args := []string{"SCAN", cursor, "COUNT", scanCount}
		if k.match != "" {
			args = append(args, "MATCH", k.match)
		}
		r, err := c.Do(args...)
		if err != nil {
			return err
		}
		if len(r.Items) != 2 {
			return failure{what: "the server's answer to SCAN makes no sense", code: ExitServer}
		}
		if err := k.count(c, r.Items[1].Items); err != nil {
			return err
		}
		k.seen.Store(k.all.keys)
		k.bytes.Store(k.all.bytes)
		if cursor = r.Items[0].Text(); cursor == "0" {
			return nil
		}
	}
}

// count asks for the lengths of keys and puts them into the tree.
func (k *census) count(c *client.Conn, keys []client.Reply) error {
	if k.noSizes {
		for _, key := range keys {
			k.all.add(strings.Split(key.Text(), k.separator), k.depth, key.Text(), 0, -1)
		}
		return nil
	}
	for _, key := range keys {
		if err := errors.Join(c.Send("STRLEN", key.Text()), c.Send("PTTL", key.Text())); err != nil {
			return err
		}
	}
	if err := c.Flush(); err != nil {
		return err
	}
	for _, key := range keys {
		length, err := c.Receive()
		var refused *client.ServerError
		if err != nil && !errors.As(err, &refused) { // another type, on a Redis
			return err
		}
		ttl, err := c.Receive()
		if err != nil {
			return err
		}
		if ttl.Int != -2 {
			k.all.add(strings.Split(key.Text(), k.separator), k.depth, key.Text(), length.Int, ttl.Int)
		}
	}
	return nil
}

// add counts one key in t and in the branches below.
func (t *tree) add(words []string, depth int, key string, length, ttl int64) {
	t.keys++
	t.bytes += int64(len(key)) + length
	if ttl >= 0 {
		t.expiring++
	}
	if length > t.most || t.biggest == "" {
		t.biggest, t.most = key, length
	}
	if depth == 0 || len(words) < 2 {
		return
	}
	name := words[0]
	if t.below == nil {
		t.below = map[string]*tree{}
	}
	branch := t.below[name]
	if branch == nil {
		if len(t.below) >= branchLimit {
			name = "(others)"
			branch = t.below[name]
		}
		if branch == nil {
			branch = &tree{}
			t.below[name] = branch
		}
	}
	branch.add(words[1:], depth-1, key, length, ttl)
}

// branches are the names below t, those with most bytes first.
func (t *tree) branches() []string {
	names := make([]string, 0, len(t.below))
	for name := range t.below {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := t.below[names[i]], t.below[names[j]]
		if a.bytes != b.bytes {
			return a.bytes > b.bytes
		}
		return names[i] < names[j]
	})
	return names
}

// page draws the tree on a terminal; a narrow one has fewer columns, since the
// names matter most.
func (k *census) page() {
	a := k.app
	width, _ := a.screen()
	k.narrow = width < 72
	if k.narrow {
		fmt.Fprintf(a.out, "%10s %9s\n", "keys", "bytes")
	} else {
		fmt.Fprintf(a.out, "%12s %12s %6s %10s\n", "keys", "bytes", "share", "expiring")
	}
	k.row(a.style(true, "1", "all keys"), &k.all)
	k.draw(&k.all, "")
	if k.all.biggest != "" && !k.noSizes {
		fmt.Fprintf(a.out, "\nthe biggest: %s, %s\n", quote([]byte(k.all.biggest)), size(k.all.most))
	}
}

// row prints the figures of one branch.
func (k *census) row(label string, t *tree) {
	if k.narrow {
		fmt.Fprintf(k.app.out, "%10s %9s %s\n", grouped(t.keys), strings.Replace(size(t.bytes), "bytes", "B", 1), label)
		return
	}
	share := 0.0
	if k.all.bytes > 0 {
		share = float64(t.bytes) * 100 / float64(k.all.bytes)
	}
	fmt.Fprintf(k.app.out, "%12s %12s %5.1f%% %10s  %s\n", grouped(t.keys), size(t.bytes), share, grouped(t.expiring), label)
}

// draw prints what is below t.
func (k *census) draw(t *tree, indent string) {
	names := t.branches()
	var other tree
	rest := 0
	for i, name := range names {
		branch := t.below[name]
		if i >= k.top {
			other.keys += branch.keys
			other.bytes += branch.bytes
			other.expiring += branch.expiring
			rest++
			continue
		}
		last := i == len(names)-1
		joint, below := "├─ ", "│  "
		if last {
			joint, below = "└─ ", "   "
		}
		k.row(k.app.style(true, "2", indent+joint)+k.app.style(true, "36", printable(name+k.separator)), branch)
		k.draw(branch, indent+below)
	}
	if rest > 0 {
		k.row(k.app.style(true, "2", fmt.Sprintf("%s└─ %d more", indent, rest)), &other)
	}
}

// lines prints the tree for scripts.
func (k *census) lines(path string, t *tree) {
	fmt.Fprintf(k.app.out, "%s\t%d\t%d\t%d\t%s\n", printable(path), t.keys, t.bytes, t.expiring, printable(t.biggest))
	for i, name := range t.branches() {
		if i < k.top {
			k.lines(path+name+k.separator, t.below[name])
		}
	}
}

// branchObject is a branch as JSON.
type branchObject struct {
	Prefix   string         `json:"prefix"`
	Keys     int64          `json:"keys"`
	Bytes    int64          `json:"bytes"`
	Expiring int64          `json:"expiring"`
	Biggest  string         `json:"biggest"`
	Below    []branchObject `json:"below,omitempty"`
}

// object is the tree for --json.
func (k *census) object(path string, t *tree) branchObject {
	o := branchObject{Prefix: path, Keys: t.keys, Bytes: t.bytes, Expiring: t.expiring, Biggest: t.biggest}
	for i, name := range t.branches() {
		if i < k.top {
			o.Below = append(o.Below, k.object(path+name+k.separator, t.below[name]))
		}
	}
	return o
}
