package main

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed nginx.conf
var nginxConf string

// nginx answers with its empty_gif. log says how the access log is written: with nginx's words for a buffer, with none
// of them, or "off".
func nginx(name, log string) peer {
	p := peer{name: name, protocol: overHTTP}
	access := "access.log combined " + log
	switch log {
	case "off":
		p.promise, access = "nothing: there is no log", "off"
	case "":
		p.promise = "the line is in the page cache: lost with the power, kept without nginx"
	default:
		p.promise = "nothing: the line may still be in nginx's memory"
	}
	p.command = func(at *place) (*exec.Cmd, error) {
		conf := strings.NewReplacer("CORES", strconv.Itoa(at.cores), "ACCESS_LOG", access, "LISTEN", at.addr).Replace(nginxConf)
		file := filepath.Join(at.dir, "nginx.conf")
		if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
			return nil, fmt.Errorf("write nginx's settings: %w", err)
		}
		return exec.Command("nginx", "-p", at.dir, "-e", "error.log", "-c", file), nil
	}
	if log != "off" {
		p.kept = func(at *place) (int64, error) { return countLines(filepath.Join(at.dir, "access.log")) }
	}
	return p
}
