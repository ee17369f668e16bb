<?php
// A destination for Forebay: verifies, handles each event once, and answers. PHP 8.1, no packages.
//
// FOREBAY_SECRET=whsec_... php -S 0.0.0.0:8000 handler.php    (or behind php-fpm)

declare(strict_types=1);

const TOLERANCE_SECONDS = 300;
const MOST_BYTES = 8 * 1024 * 1024;
const REMEMBERED_SECONDS = 86400; // events come again within minutes, if at all

// Do your work here. Throw, and the event comes again later.
function handle(array $event): void
{
    $line = [];
    foreach (['id', 'type', 'itemtype', 'subject'] as $name) {
        $line[$name] = $event[$name] ?? null;
    }
    file_put_contents('php://stderr', json_encode($line) . "\n");
}

// Handles an event unless it was; false where another request is at it just now. A file for each
// event says so, here: several machines need one table with a unique key instead.
function once(array $event): bool
{
    $folder = getenv('FOREBAY_SEEN') ?: sys_get_temp_dir() . '/forebay-seen';
    if (!is_dir($folder)) {
        @mkdir($folder, 0700, true);
    }
    if (random_int(1, 1000) === 1) {
        foreach (glob("$folder/*") as $old) {
            if (@filemtime($old) < time() - REMEMBERED_SECONDS) {
                @unlink($old);
            }
        }
    }
    $file = fopen($folder . '/' . hash('sha256', $event['id']), 'c+');
    if ($file === false) {
        throw new RuntimeException("cannot write to $folder");
    }
    if (!flock($file, LOCK_EX | LOCK_NB)) {
        return false;
    }
    if (fread($file, 4) !== 'done') {
        handle($event);
        rewind($file);
        fwrite($file, 'done'); // only now: what failed has to come again
        fflush($file);
    }
    return true; // leaving lets go of the lock
}

// Standard Webhooks: one of the signatures has to be ours.
function is_signed(string $key, string $body): bool
{
    $content = header_of('WEBHOOK_ID') . '.' . header_of('WEBHOOK_TIMESTAMP') . '.' . $body;
    $ours = 'v1,' . base64_encode(hash_hmac('sha256', $content, $key, true));
    foreach (explode(' ', header_of('WEBHOOK_SIGNATURE')) as $given) {
        if (hash_equals($ours, $given)) {
            return true;
        }
    }
    return false;
}

function header_of(string $name): string
{
    return $_SERVER["HTTP_$name"] ?? '';
}

function answer_to(string $body): int
{
    $key = base64_decode(preg_replace('/^whsec_/', '', (string) getenv('FOREBAY_SECRET')));
    if ($key === '' || !is_signed($key, $body)) {
        return 401; // Forebay sends nothing more until the secret is put right
    }
    if (abs(time() - (int) header_of('WEBHOOK_TIMESTAMP')) > TOLERANCE_SECONDS) {
        return 408; // recorded and sent again, or a clock is wrong: no reason to stop for good
    }
    $posted = json_decode($body, true);
    if (!is_array($posted)) {
        return 400; // becomes a dead letter
    }
    $events = str_starts_with(ltrim($body), '[') ? $posted : [$posted];
    foreach ($events as $event) {
        if (!is_string($event['id'] ?? null)) {
            return 400;
        }
    }
    try {
        $all = true;
        foreach ($events as $event) {
            $all = once($event) && $all;
        }
        return $all ? 204 : 503;
    } catch (Throwable $error) {
        error_log("failed: {$error->getMessage()}"); // the event has to come again
        return 500;
    }
}

if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    http_response_code(405);
} elseif ((int) ($_SERVER['CONTENT_LENGTH'] ?? 0) > MOST_BYTES) {
    http_response_code(413);
} else {
    http_response_code(answer_to(file_get_contents('php://input')));
}
