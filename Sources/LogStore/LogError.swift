/// Why a log or a store does not do what it was asked for.
public enum LogError: Error, Equatable, Sendable {
  /// There is no such log.
  case unknownLog
  /// A log of this name is there already.
  case nameTaken(String)
  /// Too much is on its way to the disk, or the journal is full until a checkpoint is done. Try
  /// again when the store says there is room.
  case busy
  /// The disk is full. Reading, deleting and retention go on; appends may be tried again later.
  case diskFull
  /// This log is damaged or its disk failed: no appends, reads of what is whole.
  case logFailed(String)
  /// The store cannot be sure of what it writes any more: no appends until it is opened again.
  case storeFailed(String)
  /// The batches are not what a log can keep.
  case invalidBatch(String)
  /// A batch is larger than the journal can take at once.
  case tooLarge(bytes: Int, bytesMax: Int)
  /// The offset is below the log's start or above its end.
  case outOfRange
  /// The log does not have the prefix that a position names, or not any more.
  case noSuchPrefix
  /// There is not enough space to open the store. Nothing is lost.
  case noSpace(String)
  /// A file or directory of the store cannot be used.
  case disk(String)
}

extension LogError: CustomStringConvertible {
  /// One sentence that says what is wrong and what to do.
  public var description: String {
    switch self {
    case .unknownLog: "There is no such log."
    case .nameTaken(let name): "A log named '\(name)' is there already; choose another name."
    case .busy: "The disk is behind; try again when the store reports room."
    case .diskFull:
      "The disk is full; free some space or lower the retention, and appends work again."
    case .logFailed(let why): "This log takes no more records: \(why)"
    case .storeFailed(let why): "The store takes no more records until it is opened again: \(why)"
    case .invalidBatch(let why): "The record batch cannot be stored: \(why)"
    case .tooLarge(let bytes, let max):
      "A record batch of \(bytes) bytes is over the limit of \(max); send smaller batches."
    case .outOfRange: "The offset is not in the log."
    case .noSuchPrefix: "The position is not one of the log."
    case .noSpace(let why):
      "The disk is full: \(why); free space on it and open the store again: nothing is lost."
    case .disk(let why): "The store's directory cannot be used: \(why)"
    }
  }
}
