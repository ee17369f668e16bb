// Go's own client with its defaults. A file has a length, a reader of unknown kind is sent in chunks.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	url, token := os.Args[1], os.Args[2]
	for number, file := range os.Args[3:] {
		content, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		var body io.Reader = bytes.NewReader(content)
		if number%2 == 1 {
			body = io.MultiReader(body)
		}
		request, err := http.NewRequest(http.MethodPost, url, body)
		if err != nil {
			panic(err)
		}
		request.Header.Set("Authorization", token)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		fmt.Println(answer.StatusCode)
	}
}
