package scenario

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write SCENARIOS.md anew")

// SCENARIOS.md lists every field as the code has it.
func TestReference(t *testing.T) {
	const file, begin, end = "SCENARIOS.md", "<!-- fields -->\n", "<!-- end of fields -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the fields", file)
	}
	want := before + begin + reference() + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s is not what the code says: go test -run Reference ./bench/scenario -update", file)
	}
}

func reference() string {
	var b strings.Builder
	b.WriteString("\n")
	writeFields(&b, reflect.ValueOf(Default()))
	b.WriteString("\n## A group of senders\n\n")
	writeFields(&b, reflect.ValueOf(defaultSender()))
	b.WriteString("\n## Visitors\n\n| name | who | verdict | network | what it is |\n| --- | --- | --- | --- | --- |\n")
	for _, v := range visitors {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | `%v` | %s |\n", v.name, v.who, v.who.verdict(), v.network, v.about)
	}
	b.WriteString("\n")
	return b.String()
}

func writeFields(b *strings.Builder, v reflect.Value) {
	b.WriteString("| field | unit, bounds | default | |\n| --- | --- | --- | --- |\n")
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		value := fmt.Sprint(v.Field(i).Interface())
		if v.Field(i).IsZero() && (v.Field(i).Kind() == reflect.String || v.Field(i).Kind() == reflect.Slice) {
			value = ""
		}
		switch tag.Get("yaml") {
		case "name":
			value = "required"
		case "messages", "senders":
			value = "required"
		}
		if v.Field(i).Kind() == reflect.Slice && value != "required" {
			value = "all"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", tag.Get("yaml"), tag.Get("want"), value, tag.Get("doc"))
	}
}
