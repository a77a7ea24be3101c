package cli

import (
	"encoding/json"
	"os"
)

// resumption is the file that says how far a load or an export came.
type resumption struct {
	Job      string         `json:"job"`
	Format   string         `json:"format,omitempty"`
	Size     int64          `json:"size,omitempty"`
	Modified int64          `json:"modified,omitempty"`
	Offset   int64          `json:"offset"`
	Lines    int64          `json:"lines"`
	Cursor   string         `json:"cursor,omitempty"`
	Keys     int64          `json:"keys"`
	Total    uint64         `json:"total"`
	Columns  map[string]int `json:"columns,omitempty"`
	Exports  int64          `json:"exports,omitempty"` // in the form of the protocol: begun and not ended
	Claimed  *claim         `json:"claimed,omitempty"`
}

// readResumption reads such a file.
func readResumption(path, job string) (resumption, error) {
	var r resumption
	data, err := os.ReadFile(path)
	if err != nil {
		return r, failure{what: "nothing to resume: " + errText(err), why: "the state file of a load that broke off is missing", fix: "run it without --resume", code: ExitUsage}
	}
	if err := json.Unmarshal(data, &r); err != nil || r.Job != job {
		return r, failure{what: "cannot resume: " + path + " is not the state of this job", fix: "remove " + path + " and run it without --resume", code: ExitUsage}
	}
	return r, nil
}

// write replaces the file as a whole.
func (r resumption) write(path string) error {
	data, err := json.Marshal(r)
	if err == nil {
		err = replaceFile(path, append(data, '\n'), 0o600)
	}
	if err != nil {
		return failure{what: "cannot write " + path + ": " + errText(err), code: ExitUsage}
	}
	return nil
}
