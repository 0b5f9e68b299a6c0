package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/smtp"
	"time"
)

const checkTimeout = 10 * time.Second

// check asks a server once and returns what is wrong with its answer.
func check(p *peer, addr string, m *minter, n int) error {
	conn, err := net.DialTimeout("tcp", addr, checkTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(checkTimeout)); err != nil {
		return err
	}
	if p.protocol == overSMTP {
		return checkMail(conn, m, n)
	}
	return checkPixel(conn, m, n)
}

// checkPixel wants a GIF of as many bytes as all others send.
func checkPixel(conn net.Conn, m *minter, n int) error {
	request, err := m.appendRequest(nil, n)
	if err != nil {
		return err
	}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err != nil {
		return err
	}
	kind := res.Header.Get("Content-Type")
	// The table of colours and what is transparent may differ; the frame and the size may not.
	if res.StatusCode != http.StatusOK || kind != "image/gif" || res.Close || len(body) != len(pixel) ||
		string(body[:10]) != string(pixel[:10]) || body[len(body)-1] != pixel[len(pixel)-1] {
		return fmt.Errorf("the answer is no pixel over a connection that stays: %s, %s, %q", res.Status, kind, body)
	}
	return nil
}

// checkMail wants a bounce to be taken.
func checkMail(conn net.Conn, m *minter, n int) error {
	to, mail, err := m.bounce(n)
	if err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, "mx.example.com")
	if err != nil {
		return err
	}
	if err := c.Hello("client.example.com"); err != nil {
		return err
	}
	if ok, _ := c.Extension("PIPELINING"); !ok {
		return fmt.Errorf("the server announces no PIPELINING")
	}
	if err := c.Mail(""); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, mail); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}
