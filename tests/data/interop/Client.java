// Java's own client with its defaults: it offers HTTP/2 by `Upgrade: h2c` on a plain connection.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;

class Client {
  public static void main(String[] given) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    for (int number = 2; number < given.length; number++) {
      HttpRequest request =
          HttpRequest.newBuilder(URI.create(given[0]))
              .header("Authorization", given[1])
              .POST(HttpRequest.BodyPublishers.ofFile(Path.of(given[number])))
              .build();
      System.out.println(client.send(request, BodyHandlers.discarding()).statusCode());
    }
  }
}
