"""Names in the answers of Apollo's HTTP API, which the clients that grew from xhrg's have as constants."""

CONFIGURATIONS = "configurations"
NOTIFICATION_ID = "notificationId"
NAMESPACE_NAME = "namespaceName"
RELEASE_KEY = "releaseKey"
CONTENT = "content"
