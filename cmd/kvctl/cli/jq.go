package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/itchyny/gojq"
)

// filter passes what is printed as JSON through the expression of --jq.
type filter struct {
	app   *app
	code  *gojq.Code
	out   *bufio.Writer // the app's own
	write *io.PipeWriter
	done  chan error
}

// startFilter puts the filter before the app's output.
func (a *app) startFilter() error {
	query, err := gojq.Parse(a.jq)
	if err != nil {
		return failure{what: "--jq: " + err.Error(), why: "not an expression of jq: " + a.jq, fix: "kvctl help json", code: ExitUsage}
	}
	code, err := gojq.Compile(query)
	if err != nil {
		return failure{what: "--jq: " + err.Error(), why: "not an expression of jq: " + a.jq, fix: "kvctl help json", code: ExitUsage}
	}
	read, write := io.Pipe()
	f := &filter{app: a, code: code, out: a.out, write: write, done: make(chan error, 1)}
	a.json, a.filter = true, f
	a.out = bufio.NewWriterSize(write, 64<<10)
	go func() {
		err := f.run(read)
		_ = read.CloseWithError(errEnough) // whoever writes still must not wait
		f.done <- err
	}()
	return nil
}

// end waits until all is filtered.
func (f *filter) end() error {
	flushed := f.app.out.Flush()
	_ = f.write.Close()
	f.app.out = f.out
	if err := <-f.done; err != nil {
		return err
	}
	return flushed
}

// run filters one value after the other.
func (f *filter) run(in io.Reader) error {
	decoder := json.NewDecoder(in)
	decoder.UseNumber()
	for {
		var v any
		if err := decoder.Decode(&v); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return failure{what: "--jq: the answer is not JSON: " + err.Error(), code: ExitServer}
		}
		if err := f.value(numbers(v)); err != nil {
			return err
		}
		if err := f.out.Flush(); err != nil {
			return err
		}
	}
}

// value prints what the expression makes of one value: text as it is.
func (f *filter) value(v any) error {
	for results := f.code.Run(v); ; {
		r, ok := results.Next()
		if !ok {
			return nil
		}
		if err, bad := r.(error); bad {
			return failure{what: "--jq: " + err.Error(), why: "the expression does not fit the answer", fix: "look at it without --jq", code: ExitUsage}
		}
		if text, plain := r.(string); plain {
			fmt.Fprintln(f.out, text)
			continue
		}
		data, err := gojq.Marshal(r)
		if err != nil {
			return failure{what: "--jq: " + err.Error(), code: ExitUsage}
		}
		fmt.Fprintf(f.out, "%s\n", data)
	}
}

// numbers gives the expression numbers without loss: whole ones stay whole.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		text := v.String()
		if n, ok := new(big.Int).SetString(text, 10); ok {
			if n.IsInt64() {
				return int(n.Int64())
			}
			return n
		}
		n, err := v.Float64()
		if err != nil {
			return strings.Clone(text)
		}
		return n
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = numbers(v[name])
		}
	}
	return v
}
