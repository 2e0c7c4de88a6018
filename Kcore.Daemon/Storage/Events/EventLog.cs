using System.Collections.Immutable;
using System.Text.Json;
using System.Threading.Channels;
using Kcore.Contracts;
using Kcore.Daemon.Reconciliation;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Storage.Events;

/// <summary>
/// What happened, for people and scripts (<c>kctl events</c>): the last <see cref="Kept"/> events of this node, on disk.
/// Whoever reports returns at once; writing is this loop's work.
/// </summary>
internal sealed partial class EventLog(StateDatabase database, TimeProvider time, string reporter, ILogger logger)
{
    /// <summary>Events kept.</summary>
    public const int Kept = 10_000;

    private const int Queued = 4096;

    // Events are a convenience: when the disk is slower than what happens, the oldest unwritten ones go.
    private readonly Channel<EventInfo> _queue = Channel.CreateBounded<EventInfo>(
        new BoundedChannelOptions(Queued) { SingleReader = true, FullMode = BoundedChannelFullMode.DropOldest });

    /// <summary>Type of the latest written event; replaced with each batch, so that followers look again.</summary>
    public Published<string> Latest { get; } = new("");

    public void Add(string type, string message, string? node = null, string? network = null, params ReadOnlySpan<(string Key, string Value)> details)
    {
        ImmutableSortedDictionary<string, string>.Builder more = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach ((string key, string value) in details)
        {
            more[key] = value;
        }

        // RFC 3339 with microseconds: what is finer is cut off.
        DateTimeOffset now = time.GetUtcNow();
        now = new DateTimeOffset(now.Ticks - (now.Ticks % TimeSpan.TicksPerMicrosecond), TimeSpan.Zero);
        _queue.Writer.TryWrite(new EventInfo(0, now, type, node, reporter, network, message, more.ToImmutable()));
    }

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        var batch = new List<EventInfo>();
        while (await _queue.Reader.WaitToReadAsync(stoppingToken))
        {
            while (batch.Count < 256 && _queue.Reader.TryRead(out EventInfo? item))
            {
                batch.Add(item);
            }

            try
            {
                Write(batch);
            }
            catch (StorageException e)
            {
                Log.NotWritten(logger, batch.Count, e.Message);
            }

            batch.Clear();
        }
    }

    /// <summary>Events after a sequence number, oldest first, at most <paramref name="limit"/>.</summary>
    public List<EventInfo> Since(long sequence, int limit) => database.Read(connection =>
    {
        List<(long Sequence, byte[] Body)> rows = SqlStatement.Query(
            connection,
            "SELECT sequence, body FROM event WHERE sequence > $0 ORDER BY sequence LIMIT $1",
            r => (r.GetInt64(0), (byte[])r.GetValue(1)),
            sequence, (long)limit);
        return rows.Select(r => JsonSerializer.Deserialize(r.Body, ApiJson.Default.EventInfo)! with { Sequence = r.Sequence }).ToList();
    });

    private void Write(List<EventInfo> batch)
    {
        database.Write(connection =>
        {
            foreach (EventInfo item in batch)
            {
                SqlStatement.Run(connection, "INSERT INTO event (body) VALUES ($0)", JsonSerializer.SerializeToUtf8Bytes(item, ApiJson.Default.EventInfo));
            }

            SqlStatement.Run(connection, "DELETE FROM event WHERE sequence <= (SELECT MAX(sequence) FROM event) - $0", (long)Kept);
        });
        Latest.Replace(batch[^1].Type);
    }

    private static partial class Log
    {
        [LoggerMessage(1301, LogLevel.Warning, "{Count} events could not be stored: {Cause}")]
        public static partial void NotWritten(ILogger logger, int count, string cause);
    }
}
