package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// apiServer is a running server, as --api and --token name it.
type apiServer struct{ url, token string }

func (s *apiServer) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.url, "api", "", "base URL of a running server's API")
	cmd.Flags().StringVar(&s.token, "token", "", "bearer token of that API; default: $CAROM_API_TOKEN")
}

// base returns the URL of a path of the API.
func (s *apiServer) base(path string) (string, error) {
	if u, err := url.Parse(s.url); err != nil || u.Host == "" {
		return "", usageError{fmt.Errorf("--api %q: want a URL such as http://127.0.0.1:8081", s.url)}
	}
	return strings.TrimSuffix(s.url, "/") + path, nil
}

// authorize shows the token, if there is one.
func (s *apiServer) authorize(request *http.Request) {
	token := s.token
	if token == "" { // not the flag's default, which the help would show
		token = os.Getenv(envPrefix + "API_TOKEN")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
}

// copyPages copies all lines that a path has, page by page, at most limit of them; 0 is no limit.
func (s *apiServer) copyPages(ctx context.Context, path string, query url.Values, limit int, out io.Writer) error {
	base, err := s.base(path)
	if err != nil {
		return err
	}
	if query == nil {
		query = make(url.Values)
	}
	after := ""
	for left := limit; ; {
		page := apiPage
		if limit > 0 {
			page = min(page, left)
		}
		query.Set("limit", strconv.Itoa(page))
		query.Set("after", after)
		lines, next, err := s.copyPage(ctx, base+"?"+query.Encode(), out)
		if err != nil {
			return err
		}
		if left -= lines; next == after || limit > 0 && left <= 0 {
			return nil
		}
		if next == "" {
			return fmt.Errorf("ask the server: its answer lacks the header %s", headerNext)
		}
		after = next
	}
}

const (
	// headerNext says where the next page begins.
	headerNext = "Carom-Next-Cursor"
	apiPage    = 10_000
	maxAPILine = 16 << 20
)

// copyPage copies one page and returns how many lines it had and where the next begins.
func (s *apiServer) copyPage(ctx context.Context, target string, out io.Writer) (lines int, next string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, "", err
	}
	s.authorize(request)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", fmt.Errorf("ask the server: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 2000))
		return 0, "", fmt.Errorf("ask the server: it answered %s: %s", answer.Status, text)
	}
	scanner := bufio.NewScanner(answer.Body)
	scanner.Buffer(nil, maxAPILine)
	for scanner.Scan() {
		lines++
		if _, err := fmt.Fprintf(out, "%s\n", scanner.Bytes()); err != nil {
			return lines, "", err
		}
	}
	return lines, answer.Header.Get(headerNext), scanner.Err()
}
