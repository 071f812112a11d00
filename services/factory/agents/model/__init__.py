"""The `model` agent: a conversation with any OpenAI-compatible endpoint, held by a program of its own."""
