using Kcore.Daemon.Cluster.Streams;

namespace Kcore.Daemon.Tests.Cluster.Streams;

public sealed class StreamFrameTests
{
    [Fact]
    public async Task A_frame_is_length_kind_flags_and_body()
    {
        using var stream = new MemoryStream();

        await StreamFrame.WriteAsync(stream, new StreamFrame(StreamKind.Join, Last: true, new byte[] { 0xAA, 0xBB }), default);

        Assert.Equal([0, 0, 0, 4, 3, 1, 0xAA, 0xBB], stream.ToArray());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(StreamFrame.MaxBody)]
    public async Task A_frame_is_read_as_it_was_written(int size)
    {
        byte[] body = new byte[size];
        Array.Fill(body, (byte)7);
        using var stream = new MemoryStream();
        await StreamFrame.WriteAsync(stream, new StreamFrame(StreamKind.Gossip, Last: false, body), default);
        stream.Position = 0;

        StreamFrame read = Assert.NotNull(await StreamFrame.ReadAsync(stream, default));

        Assert.Equal((StreamKind.Gossip, false), (read.Kind, read.Last));
        Assert.True(read.Body.Span.SequenceEqual(body));
        Assert.Null(await StreamFrame.ReadAsync(stream, default));
    }

    [Theory]
    [InlineData(new byte[] { 0, 0, 0, 0, 1, 0 })]
    [InlineData(new byte[] { 0, 0, 0, 1, 1, 0 })]
    [InlineData(new byte[] { 0, 0x40, 0, 3, 1, 0 })]
    [InlineData(new byte[] { 0xFF, 0xFF, 0xFF, 0xFF, 1, 0 })]
    [InlineData(new byte[] { 0, 0, 0 })]
    public async Task A_length_out_of_bounds_is_refused_before_anything_is_allocated(byte[] bytes)
    {
        using var stream = new MemoryStream(bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();

        // The stream is in memory, so all of it runs on this thread.
        ValueTask<StreamFrame?> read = StreamFrame.ReadAsync(stream, default);

        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 64 * 1024);
        await Assert.ThrowsAsync<InvalidDataException>(() => read.AsTask());
    }

    [Fact]
    public async Task A_body_that_breaks_off_is_an_end_of_stream()
    {
        using var stream = new MemoryStream([0, 0, 0, 5, 1, 1, 0xAA]);

        await Assert.ThrowsAsync<EndOfStreamException>(() => StreamFrame.ReadAsync(stream, default).AsTask());
    }
}
