package cli

import (
	"bytes"
	"regexp"
	"testing"
	"time"
)

// A line for each state, and one now and then while keys are copied.
func TestFollower(t *testing.T) {
	var out bytes.Buffer
	f := follower{app: &app{}, out: &out, begun: time.Now()}
	for _, status := range []map[string]string{
		{"state": "idle"},
		{"state": "checking"}, {"state": "checking"},
		{"state": "copying", "copied_keys": "0", "keys": "1234567", "lane_held_last_us": "0"},
		{"state": "copying", "copied_keys": "1000", "keys": "1234567", "lane_held_last_us": "0"},
		{"state": "draining", "copied_keys": "1234567", "keys": "1234567", "lane_held_last_us": "1250"},
		{"state": "serving"},
	} {
		if err := f.look(status); err != nil {
			t.Fatal(err)
		}
	}
	f.told = f.told.Add(-tellEvery)
	f.state = "copying"
	f.look(map[string]string{"state": "copying", "copied_keys": "1", "keys": "1", "lane_held_last_us": "0"})
	want := regexp.MustCompile(`^checking: [0-9.]+ s
copying: [0-9.]+ s, 0 of about 1,234,567 keys copied, longest pause 0\.0 ms
draining: [0-9.]+ s, 1,234,567 of about 1,234,567 keys copied, longest pause 1\.2 ms
copying: [0-9.]+ s, 1 of about 1 key copied, longest pause 0\.0 ms
$`)
	if !want.MatchString(out.String()) {
		t.Errorf("it tells:\n%s", &out)
	}
}
