// A destination for Forebay: verifies, handles each event once, and answers. Standard library only.
//
//	FOREBAY_SECRET=whsec_... go run handler.go 8000
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	tolerance  = 5 * time.Minute
	mostBytes  = 8 << 20
	remembered = 100_000 // ids; events come again within minutes, if at all
)

// Event has what a handler needs; docs/events.md has all attributes. Data is the provider's.
type Event struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	ItemType string          `json:"itemtype"`
	Subject  string          `json:"subject"`
	Data     json.RawMessage `json:"data"`
}

// Do your work here. Return an error, and the event comes again later.
func handle(event Event) error {
	line, err := json.Marshal(map[string]string{
		"id": event.ID, "type": event.Type, "itemtype": event.ItemType, "subject": event.Subject,
	})
	fmt.Println(string(line))
	return err
}

// Which events were handled. Several processes need one table with a unique key instead.
var (
	lock  sync.Mutex
	state = map[string]bool{} // true once handled, false meanwhile
	order []string
)

// once handles an event unless it was; false where another request is at it just now.
func once(event Event) (bool, error) {
	lock.Lock()
	done, known := state[event.ID]
	if known {
		lock.Unlock()
		return done, nil
	}
	state[event.ID] = false
	lock.Unlock()
	handled := false
	defer func() { // a panic, too, has to let it come again
		lock.Lock()
		defer lock.Unlock()
		if !handled {
			delete(state, event.ID)
			return
		}
		state[event.ID] = true
		if order = append(order, event.ID); len(order) > remembered {
			delete(state, order[0])
			order = order[1:]
		}
	}()
	err := handle(event)
	handled = err == nil
	return handled, err
}

// isSigned says whether one of the signatures is ours (Standard Webhooks).
func isSigned(key []byte, header http.Header, body []byte) bool {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", header.Get("webhook-id"), header.Get("webhook-timestamp"))
	mac.Write(body)
	ours := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for _, each := range strings.Fields(header.Get("webhook-signature")) {
		if hmac.Equal(ours, []byte(each)) {
			return true
		}
	}
	return false
}

func answerTo(key []byte, header http.Header, body []byte) int {
	if !isSigned(key, header, body) {
		return http.StatusUnauthorized // Forebay sends nothing more until the secret is put right
	}
	seconds, err := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
	if age := time.Since(time.Unix(seconds, 0)); err != nil || age.Abs() > tolerance {
		// Recorded and sent again, or a clock is wrong: no reason to stop for good.
		return http.StatusRequestTimeout
	}
	var events []Event
	if body = bytes.TrimSpace(body); bytes.HasPrefix(body, []byte("{")) {
		body = append(append([]byte("["), body...), ']')
	}
	if json.Unmarshal(body, &events) != nil || events == nil {
		return http.StatusBadRequest // becomes a dead letter
	}
	for _, event := range events {
		if event.ID == "" {
			return http.StatusBadRequest
		}
	}
	status := http.StatusNoContent
	for _, event := range events {
		if done, err := once(event); err != nil {
			log.Print("failed: ", err)
			return http.StatusInternalServerError // the event has to come again
		} else if !done {
			status = http.StatusServiceUnavailable
		}
	}
	return status
}

func main() {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("FOREBAY_SECRET"), "whsec_"))
	if err != nil || len(key) == 0 {
		log.Fatal("set FOREBAY_SECRET to the destination's signing secret, whsec_...")
	}
	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodPost {
			response.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, mostBytes))
		if err != nil {
			response.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		response.WriteHeader(answerTo(key, request.Header, body))
	})
	log.Fatal(http.ListenAndServe(":"+os.Args[1], nil))
}
