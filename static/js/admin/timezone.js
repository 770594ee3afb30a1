// Tells the site the browser's time zone, in which the admin shows times from the next page on.

const NAME = "myagent_timezone";
const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
const { pathname } = new URL("../../../admin/", import.meta.url);
if (timeZone) document.cookie = `${NAME}=${timeZone}; path=${pathname}; max-age=31536000; samesite=lax`;
