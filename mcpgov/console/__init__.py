"""The admin plane's pages: server-rendered, without a script. They show what admin/ answers, and decide nothing."""
