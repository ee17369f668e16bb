"""The processor: splits webhooks into items, delivers each, keeps what has to wait."""
