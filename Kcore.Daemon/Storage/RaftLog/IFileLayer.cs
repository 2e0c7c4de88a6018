namespace Kcore.Daemon.Storage.RaftLog;

/// <summary>
/// One directory, cut down to the operations whose order decides what survives a power cut. Names are plain file names.
/// Nothing is durable before it is synced: contents by <see cref="IStoreFile.Sync"/>, names (create, rename, delete) by
/// <see cref="SyncDirectory"/>. Every member throws <see cref="IOException"/> when the disk refuses, and
/// <see cref="DiskFullException"/> when it is full.
/// </summary>
public interface IFileLayer
{
    /// <summary>The names in the directory, in ordinal order.</summary>
    IReadOnlyList<string> List();

    /// <summary>Makes an empty file open for reading and writing, replacing one of the same name.</summary>
    IStoreFile Create(string name);

    /// <summary>Opens an existing file for reading and writing.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    IStoreFile Open(string name);

    /// <summary>Gives <paramref name="from"/> the name <paramref name="to"/>, replacing what had it, in one step.</summary>
    void Rename(string from, string to);

    /// <summary>Removes a file; removing an absent one is success.</summary>
    void Delete(string name);

    /// <summary>Makes the names durable.</summary>
    void SyncDirectory();

    /// <summary>Keeps every other process from locking this directory until disposed, or until this process ends.</summary>
    /// <exception cref="StoreBusyException">Somebody holds the lock.</exception>
    IDisposable Lock();
}

/// <summary>One open file of an <see cref="IFileLayer"/>.</summary>
public interface IStoreFile : IDisposable
{
    /// <summary>Length in bytes.</summary>
    long Length { get; }

    /// <summary>Reads up to the length of <paramref name="target"/>; less only at the end of the file.</summary>
    int Read(long offset, Span<byte> target);

    /// <summary>Writes all of <paramref name="data"/>, extending the file if need be.</summary>
    void Write(long offset, ReadOnlySpan<byte> data);

    /// <summary>Reserves zero-filled room up to <paramref name="length"/> bytes so that later writes change no metadata.</summary>
    void Preallocate(long length);

    /// <summary>Makes the contents durable. A failure is final: the kernel may have dropped the pages (ATC'20, Rebello et al.).</summary>
    void Sync();

    /// <summary>
    /// As <see cref="Sync"/>, for writes into room that was there before: skips metadata that reading them does not need.
    /// </summary>
    void SyncData();
}
