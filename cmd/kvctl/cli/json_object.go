package cli

import (
	"encoding/json"
	"fmt"
)

// object prints v as JSON: one line on a pipe, spread on a terminal.
func (a *app) object(v any) error {
	var data []byte
	var err error
	if a.outTTY {
		data, err = json.MarshalIndent(v, "", "  ")
	} else {
		data, err = json.Marshal(v)
	}
	if err != nil {
		return failure{what: "cannot print JSON: " + err.Error(), code: ExitServer}
	}
	fmt.Fprintf(a.out, "%s\n", data)
	return nil
}

// line prints v as JSON on a line of its own, for what comes one by one.
func (a *app) line(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return failure{what: "cannot print JSON: " + err.Error(), code: ExitServer}
	}
	fmt.Fprintf(a.out, "%s\n", data)
	return nil
}
