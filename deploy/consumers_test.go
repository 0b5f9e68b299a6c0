package deploy_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"carom/pipeline/kafka"
)

// The page tells of each topic what the code makes.
func TestConsumersTopics(t *testing.T) {
	page := readFile(t, "CONSUMERS.md")
	for _, spec := range kafka.Default().Specs() {
		row := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(spec.Name) + "` \\|.*$").FindString(page)
		if row == "" {
			t.Errorf("there is no row of %s", spec.Name)
			continue
		}
		cells := strings.Split(strings.Trim(row, "| "), " | ")
		partitions, kept := cells[len(cells)-2], cells[len(cells)-1]
		if number, _, _ := strings.Cut(partitions, ","); number != strconv.Itoa(spec.Partitions) {
			t.Errorf("%s: %s partitions, the code has %d", spec.Name, partitions, spec.Partitions)
		}
		want := "the newest of each key"
		for _, config := range spec.Configs {
			if config.Key == "retention.ms" {
				ms, err := strconv.ParseInt(config.Value, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				want = fmt.Sprintf("%d days", ms/(24*time.Hour).Milliseconds())
			}
		}
		if kept != want {
			t.Errorf("%s is kept %s, the code says %s", spec.Name, kept, want)
		}
	}
	const key = "acme/alice"
	partition := kafka.KeyPartition([]byte(key), int32(kafka.Default().Partitions))
	if want := fmt.Sprintf("`%s` is in partition %d of %d.", key, partition, kafka.Default().Partitions); !strings.Contains(page, want) {
		t.Errorf("the page does not say: %s", want)
	}
}

// What it links to is there.
func TestConsumersLinks(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(readFile(t, "CONSUMERS.md"), -1)
	for _, link := range links {
		if _, err := os.Stat(link[1]); err != nil {
			t.Error(err)
		}
	}
	if len(links) < len(schemaNames(t)) {
		t.Errorf("only %d links", len(links))
	}
}
