package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// object prints v as JSON: one line on a pipe, spread on a terminal.
func (a *app) object(v any) error {
	data, err := a.marshalled(v)
	if err != nil {
		return err
	}
	if a.outTTY {
		var spread bytes.Buffer
		_ = json.Indent(&spread, data, "", "  ") // it was made here
		data = spread.Bytes()
	}
	fmt.Fprintf(a.out, "%s\n", data)
	return nil
}

// line prints v as JSON on a line of its own, for what comes one by one.
func (a *app) line(v any) error {
	data, err := a.marshalled(v)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s\n", data)
	return nil
}

// marshalled is v as JSON, with the fields that were asked for.
func (a *app) marshalled(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err == nil {
		data, err = a.picked(data)
	}
	if err != nil {
		return nil, failure{what: "cannot print JSON: " + err.Error(), code: ExitServer}
	}
	return data, nil
}
