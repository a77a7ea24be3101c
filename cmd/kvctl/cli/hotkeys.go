package cli

import (
	"fmt"
	"strconv"

	"kvstored/pkg/client"
)

// hotKey is a key that is asked for often, as ENGINE HOTKEYS tells.
type hotKey struct {
	Key       string  `json:"key"`
	Encoding  string  `json:"encoding"`
	DB        int64   `json:"db"`
	PerSecond float64 `json:"per_second"`
	Share     float64 `json:"share"`

	name []byte // the key's bytes
}

// askHotKeys asks for at most so many, the hottest first.
func askHotKeys(c *client.Conn, most int) ([]hotKey, error) {
	words := []string{"ENGINE", "HOTKEYS", strconv.Itoa(most)}
	r, err := c.Do(words...)
	if err != nil {
		return nil, explainServer(err, words)
	}
	keys := make([]hotKey, len(r.Items))
	for i, item := range r.Items {
		fields, err := item.Fields()
		if err != nil {
			return nil, failure{what: "cannot read the hot keys: " + err.Error(), code: ExitServer}
		}
		k := &keys[i]
		for _, f := range fields {
			switch f.Name {
			case "key":
				k.name = f.Value.Bytes
			case "db":
				k.DB = f.Value.Int
			case "per_second":
				k.PerSecond, _ = strconv.ParseFloat(f.Value.Text(), 64)
			case "share":
				k.Share, _ = strconv.ParseFloat(f.Value.Text(), 64)
			}
		}
		if k.Key, k.Encoding = textOf(k.name); k.Encoding == "" {
			k.Encoding = "utf-8"
		}
	}
	return keys, nil
}

// label is the key as a terminal shows it, with its database if that is not 0.
func (k hotKey) label() string {
	text := quote(k.name)
	if k.DB != 0 {
		text += fmt.Sprintf(" [%d]", k.DB)
	}
	return text
}

// hottest prints the keys that are asked for most.
func (k *census) hottest() error {
	a := k.app
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	keys, err := askHotKeys(c, k.top)
	if err != nil {
		return err
	}
	switch {
	case a.json:
		return a.object(keys)
	case !a.outTTY:
		for _, h := range keys {
			fmt.Fprintf(a.out, "%s\t%d\t%.1f\t%.4f\n", printable(string(h.name)), h.DB, h.PerSecond, h.Share)
		}
		return nil
	case len(keys) == 0:
		fmt.Fprintln(a.out, "no key stands out: none was asked for more than once in the last seconds")
		return nil
	}
	fmt.Fprintf(a.out, "%10s %6s\n", "ops/s", "share")
	for _, h := range keys {
		fmt.Fprintf(a.out, "%10s %5.1f%% %s %s\n", grouped(int64(h.PerSecond+0.5)), 100*h.Share,
			a.style(true, "36", bar(int64(1e6*h.Share), int64(1e6*keys[0].Share), 10)), h.label())
	}
	return nil
}
