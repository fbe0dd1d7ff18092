// Numbers as people say them.

export function duration(seconds) {
  if (seconds < 1.5) return "1 s";
  if (seconds < 55) return `${Math.round(seconds)} s`;
  if (seconds < 3300) return `${Math.round(seconds / 60)} min`;
  const hours = Math.floor(seconds / 3600);
  return `${hours} h ${Math.round((seconds - hours * 3600) / 60)} min`;
}

export function left(seconds) {
  return seconds === null ? "" : `about ${duration(seconds)} left`;
}

export function percent(share) {
  return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

export function count(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}
