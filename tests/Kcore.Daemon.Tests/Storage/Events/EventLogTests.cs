using System.Collections.Immutable;
using System.Text.Json;
using Kcore.Contracts;
using Kcore.Daemon.Storage;
using Kcore.Daemon.Storage.Events;
using Kcore.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Storage.Events;

public sealed class EventLogTests : IDisposable
{
    private readonly TestDatabase _test = new();
    private readonly SteppedTime _time = new();

    [Fact]
    public async Task An_event_is_read_as_it_was_reported()
    {
        EventLog log = NewLog();
        _time.Advance(TimeSpan.FromTicks(12_345_678));

        log.Add("NetworkCreated", "network 'prod' created", "a", "prod", ("type", "vxlan"), ("cidr", "10.88.0.0/24"));
        await WrittenAsync(log, "NetworkCreated");

        EventInfo read = Assert.Single(log.Since(0, 10));
        Assert.Equal(("NetworkCreated", "network 'prod' created", "a", "prod", "node-a"), (read.Type, read.Message, read.Node, read.Network, read.Reporter));
        Assert.Equal("vxlan", read.Details["type"]);
        Assert.Equal(1, read.Sequence);
        Assert.Equal(0, read.Time.Ticks % TimeSpan.TicksPerMicrosecond);
        Assert.Equal(_time.GetUtcNow(), read.Time, TimeSpan.FromMicroseconds(1));
    }

    [Fact]
    public async Task Events_are_numbered_on_across_restarts_and_read_in_pages()
    {
        EventLog log = NewLog();
        log.Add("One", "1");
        log.Add("Two", "2");
        await WrittenAsync(log, "Two");
        _test.Reopen();
        log = NewLog();
        log.Add("Three", "3");
        await WrittenAsync(log, "Three");

        Assert.Equal([1L, 2L], log.Since(0, 2).Select(e => e.Sequence));
        Assert.Equal([3L], log.Since(2, 2).Select(e => e.Sequence));
        Assert.Empty(log.Since(3, 2));
    }

    [Fact]
    public async Task The_last_ten_thousand_events_are_kept()
    {
        const int Old = EventLog.Kept + 50;
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(
            new EventInfo(0, _time.GetUtcNow(), "Old", null, "node-a", null, "old", ImmutableSortedDictionary<string, string>.Empty), ApiJson.Default.EventInfo);
        _test.Database.Write(c => SqlStatement.Run(
            c, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $0) INSERT INTO event (body) SELECT $1 FROM n", (long)Old, body));
        EventLog log = NewLog();

        log.Add("New", "new");
        await WrittenAsync(log, "New");

        List<EventInfo> all = log.Since(0, int.MaxValue);
        Assert.Equal(EventLog.Kept, all.Count);
        Assert.Equal(Old + 1, all[^1].Sequence);
        Assert.Equal("New", all[^1].Type);
    }

    [Fact]
    public async Task A_disk_that_fails_loses_events_and_not_the_loop()
    {
        EventLog log = NewLog();
        _test.Database.Write(c => SqlStatement.Run(c, "ALTER TABLE event RENAME TO hidden"));
        log.Add("Lost", "lost");
        using var stop = new CancellationTokenSource();
        Task running = log.RunAsync(stop.Token);
        Assert.False(running.IsFaulted);

        _test.Database.Write(c => SqlStatement.Run(c, "ALTER TABLE hidden RENAME TO event"));
        log.Add("Kept", "kept");
        await log.Latest.WhenAsync(t => t == "Kept", stop.Token).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("Kept", log.Since(0, 10)[^1].Type);

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    public void Dispose() => _test.Dispose();

    private static async Task WrittenAsync(EventLog log, string last)
    {
        using var stop = new CancellationTokenSource();
        Task running = log.RunAsync(stop.Token);
        await log.Latest.WhenAsync(t => t == last, stop.Token).WaitAsync(TimeSpan.FromSeconds(30));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    private EventLog NewLog() => new(_test.Database, _time, "node-a", NullLogger.Instance);
}
