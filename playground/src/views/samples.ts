/** Series that come with the page, with where they are from. */
export const SERIES = [
  {
    name: 'births.csv',
    title: 'Births in the USA, by day',
    address: new URL('../../../examples/series/births.csv', import.meta.url).href,
    source: 'CDC, 1994 to 2003; PDDL 1.0, contents CC0',
  },
  {
    name: 'co2.csv',
    title: 'CO₂ at Mauna Loa, by month',
    address: new URL('../../../examples/series/co2.csv', import.meta.url).href,
    source: 'Scripps CO₂ Program; CC BY 4.0',
  },
  {
    name: 'flights.csv',
    title: 'Flights within the USA, by hour',
    address: new URL('../../../examples/series/flights.csv', import.meta.url).href,
    source: 'Bureau of Transportation Statistics; work of the US government',
  },
  {
    name: 'seattle-weather.csv',
    title: 'Weather of Seattle, by day',
    address: new URL('../../../examples/series/seattle-weather.csv', import.meta.url).href,
    source: 'NOAA; work of the US government',
  },
  {
    name: 'employment.csv',
    title: 'Jobs in six sectors of the USA, by month',
    address: new URL('../../../examples/series/employment.csv', import.meta.url).href,
    source: 'Bureau of Labor Statistics; work of the US government',
  },
] as const;
