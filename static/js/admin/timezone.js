// Tells the site whose clock it is: the admin shows times as this browser does, from the next page on.

const NAME = "myagent_timezone";
const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
if (timeZone) document.cookie = `${NAME}=${timeZone}; path=/admin/; max-age=31536000; samesite=lax`;
