"""How finished traces get to a receiver of OpenTelemetry's protocol, OTLP."""
